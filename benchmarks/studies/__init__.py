"""How good: comparisons of encoders, regressors and splits on real properties."""
