"""Delta tables, in a folder or in a bucket: their parts, their logs, and commits."""
