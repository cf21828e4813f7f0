"""Pretraining of encoders: data, runs and their records."""
