"""The graph networks in PyTorch: readable references, with the parameter names of the published codes."""
