"""The padded tables that the ONNX files of graph encoders take, a file for each kind of graph."""
