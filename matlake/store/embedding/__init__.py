"""Bulk embedding: what is pending, shards, encoding, commits."""
