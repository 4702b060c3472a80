"""Curation groups, in Spark."""
