"""Heads: trained, measured, saved with a card, listed."""
