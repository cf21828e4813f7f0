"""Weights of the graph networks from files, in the formats that others publish in."""
