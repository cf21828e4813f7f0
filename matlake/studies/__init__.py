"""Comparisons of methods, with statistics."""
