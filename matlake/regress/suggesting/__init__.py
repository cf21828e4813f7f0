"""What to measure next: which materials of the lake a head would learn most from, or that are most likely the best."""
