"""The lake: import, bulk embedding, tables, SQL. Knows no torch and no scikit-learn."""
