"""Vectors that another program made: their import, and the encoders that they are of."""
