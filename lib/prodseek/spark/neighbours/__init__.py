"""The neighbour graph, in Spark."""
