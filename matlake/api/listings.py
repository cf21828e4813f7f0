"""The datasets, heads and encoders of a lake, listed and asked for by name as ``matlake datasets …`` does."""
