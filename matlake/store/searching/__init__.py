"""Nearest neighbours in an embedding."""
