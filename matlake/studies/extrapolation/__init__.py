"""Beyond the training distribution: decoupled heads beside networks trained end to end.

See docs/science/extrapolation.md.
"""
