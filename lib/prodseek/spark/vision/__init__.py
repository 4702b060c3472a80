"""One pass of the network over photos, in Spark."""
