"""Fitting the projection and applying it, in Spark."""
