"""Near-duplicate photos: candidates by hashes and codes, verification by aligned pixels, verdicts, groups."""
