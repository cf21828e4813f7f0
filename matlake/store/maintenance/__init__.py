"""Upkeep of a lake: integrity, repair, compaction, and unused files."""
