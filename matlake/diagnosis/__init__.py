"""What this machine can run: the checks of ``doctor``."""
