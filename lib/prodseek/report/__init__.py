"""The page people open in the morning: what a run found, as one self-contained HTML file."""
