"""Bytes by URI: files, retries, reading ahead."""
