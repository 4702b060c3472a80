"""Photos with planted truth: copies, and pairs that only look like copies, for fitting and measuring."""
