"""Weights of the graph networks from files: runs of our own, and the formats that others publish in."""
