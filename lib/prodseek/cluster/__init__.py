"""Curation groups: regions that look alike, with names, and with ids that stay the same from night to night."""
