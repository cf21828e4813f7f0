"""Encoders that are ready to run: cards, audited ONNX sessions, the registry. Knows no torch and no lake."""
