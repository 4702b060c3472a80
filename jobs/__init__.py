"""Spark jobs: one module a stage."""
