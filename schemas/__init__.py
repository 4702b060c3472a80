"""One JSON file a table: the only definition of its columns."""
