"""The report's figures and pictures, in Spark."""
