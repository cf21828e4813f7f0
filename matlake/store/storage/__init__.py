"""Where a lake is: in a folder, or below a prefix of a bucket."""
