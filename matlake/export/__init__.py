"""Making encoders: torch networks, pretraining, ONNX export with parity and card. Needs the extra ``train``."""
