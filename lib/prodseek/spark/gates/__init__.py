"""What the gates measure of a night, in Spark."""
