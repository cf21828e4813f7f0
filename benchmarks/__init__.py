"""Benchmarks: speed, studies, and what they share. Run them from the checkout with ``python -m``."""
