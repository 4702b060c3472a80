"""The searchable index and the neighbour graph: cells, shards, search and recall."""
