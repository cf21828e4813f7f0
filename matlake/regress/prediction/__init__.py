"""Predictions of heads, for formulas, crystals and tables."""
