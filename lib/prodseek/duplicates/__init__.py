"""Near-duplicate photos: candidates by hash, verification by aligned pixels, verdicts, groups."""
