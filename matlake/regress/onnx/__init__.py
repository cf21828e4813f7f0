"""Regressors as ONNX graphs."""
