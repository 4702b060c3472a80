"""What a night will take: measured on some photos, worked out by a table of costs."""
