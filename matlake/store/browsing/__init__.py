"""Looking through the datasets of a lake: rows by conditions, ranges of columns, single materials."""
