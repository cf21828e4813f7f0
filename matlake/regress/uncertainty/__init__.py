"""Intervals, the applicability domain, and the nearest training materials."""
