"""Upkeep of a lake: integrity, repair, compaction, and files that nobody reads."""
