"""Plan a night: its costs, measured on some photos and computed from a table of costs."""
