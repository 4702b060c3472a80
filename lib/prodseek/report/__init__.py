"""The report of a run: HTML pages that people open in the morning, and their data files."""
