"""Query results as text."""

import io
from decimal import Decimal

import pyarrow as pa

from matlake.store.table_files import open_writer
from matlake.text_tables import Column, TextTable

_SHOWN_ITEMS = 4
_SHOWN_WIDTH = 60


def render(table: pa.Table, form: str) -> bytes:
    """Return a query's result as ``table``, or in a format of ``table_files``."""
    if form == "table":
        return "\n".join(result_table(table).lines()).encode()
    buffer = io.BytesIO()
    with open_writer(buffer, form, table.schema) as write:
        write(table)
    return buffer.getvalue()


def result_table(table: pa.Table) -> TextTable:
    """Return a query's result as a table for people; long lists and texts are cut."""
    columns = [
        Column(name, "right" if pa.types.is_integer(kind) or pa.types.is_floating(kind) else "left")
        for name, kind in zip(table.column_names, table.schema.types, strict=True)
    ]
    values = [[_cell(value) for value in column.to_pylist()] for column in table.columns]
    return TextTable(columns, list(zip(*values, strict=True)))


def _cell(value: object) -> str:
    if isinstance(value, float | Decimal):
        return f"{value:.6g}"
    if isinstance(value, list):
        shown = ", ".join(_cell(item) for item in value[:_SHOWN_ITEMS])
        return f"[{shown}, … {len(value)} in all]" if len(value) > _SHOWN_ITEMS else f"[{shown}]"
    text = "" if value is None else str(value).replace("\n", " ")
    return text if len(text) <= _SHOWN_WIDTH else text[: _SHOWN_WIDTH - 1] + "…"
