"""How the samples that come with the package are made."""
