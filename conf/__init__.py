"""Shipped configuration."""
