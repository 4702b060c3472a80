"""The index, in Spark."""
