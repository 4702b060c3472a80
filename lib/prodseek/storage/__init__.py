"""Bytes by URI: files, retries, read-ahead."""
