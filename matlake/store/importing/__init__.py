"""Datasets in: readers of files, rows, the import itself."""
