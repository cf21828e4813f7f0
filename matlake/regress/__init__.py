"""Heads: matrices from SQL, splits, regressors, evaluation, prediction. Reads the lake through SQL only."""
