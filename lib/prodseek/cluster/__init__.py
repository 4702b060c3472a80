"""Curation groups: regions that look alike, named, with ids that survive the night."""
