"""Names, strings and files in the text of SQL."""

import re


def identifier(name: str) -> str:
    """Quote a name for SQL."""
    return '"' + name.replace('"', '""') + '"'


def rows_name(dataset: str) -> str:
    """Return the name of the view of all rows of a dataset, those that are not valid materials among them.

    DuckDB's names know no capitals, those of datasets in old lakes do: a mark before each tells them apart.
    """
    marked = re.sub("[A-Z]", r"^\g<0>", dataset)
    return f"rows of {marked}"


def dataset_rows(dataset: str) -> str:
    """Return that view as SQL names it."""
    return f"internal.{identifier(rows_name(dataset))}"


def literal(text: str) -> str:
    """Quote a string for SQL."""
    return "'" + text.replace("'", "''") + "'"


def without_wildcards(path: str) -> str:
    """Write a path such that DuckDB takes ``*``, ``?`` and ``[`` in it for what they are, not for wildcards."""
    return re.sub(r"[*?[]", r"[\g<0>]", path)
