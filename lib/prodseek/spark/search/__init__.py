"""Many searches at once, in Spark."""
