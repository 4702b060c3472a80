"""Copies of photos, in Spark."""
