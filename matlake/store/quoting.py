"""Names, strings and files in the text of SQL."""


def identifier(name: str) -> str:
    """Quote a name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """Quote a string for SQL."""
    return "'" + text.replace("'", "''") + "'"


def read_parquet(files: list[str]) -> str:
    """Return the table function that reads files without looking for more columns in their paths."""
    listed = ", ".join(literal(file) for file in files)
    return f"read_parquet([{listed}], hive_partitioning = false)"
