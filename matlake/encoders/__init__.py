"""Encoders that are ready to run: cards, audited ONNX sessions, the shelf. Knows no torch and no lake."""
