"""Query results as text or files."""

import io
import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from matlake.files import write_whole
from matlake.text_tables import Column, TextTable

_SHOWN_ITEMS = 4
_SHOWN_WIDTH = 60


def render(table: pa.Table, form: str) -> bytes:
    """Return a query's result as ``table``, ``csv``, ``json`` (a list of objects) or ``parquet``."""
    if form == "parquet":
        buffer = io.BytesIO()
        pq.write_table(table, buffer, compression="zstd")
        return buffer.getvalue()
    if form == "json":
        return json.dumps(table.to_pylist(), ensure_ascii=False, default=_plain).encode()
    if form == "csv":
        buffer = io.BytesIO()
        pacsv.write_csv(_flat(table), buffer)
        return buffer.getvalue()
    return "\n".join(result_table(table).lines()).encode()


def write_result(table: pa.Table, form: str, path: Path) -> None:
    """Write a query's result to a file, whole or not at all."""
    write_whole(path, render(table, form))


def result_table(table: pa.Table) -> TextTable:
    """Return a query's result as a table for people; long lists and texts are cut."""
    columns = [
        Column(name, "right" if pa.types.is_integer(kind) or pa.types.is_floating(kind) else "left")
        for name, kind in zip(table.column_names, table.schema.types, strict=True)
    ]
    values = [[_cell(value) for value in column.to_pylist()] for column in table.columns]
    return TextTable(columns, list(zip(*values, strict=True)))


def _plain(value: object) -> object:
    """Turn what JSON has no type for (SQL's decimals and dates) into a number or text."""
    return float(value) if isinstance(value, Decimal) else str(value)


def _flat(table: pa.Table) -> pa.Table:
    """CSV has no lists: write them as JSON text."""
    columns = [
        pa.array([None if v is None else json.dumps(v, default=_plain) for v in column.to_pylist()], pa.string())
        if pa.types.is_nested(column.type)
        else column
        for column in table.columns
    ]
    return pa.table(dict(zip(table.column_names, columns, strict=True)))


def _cell(value: object) -> str:
    if isinstance(value, float | Decimal):
        return f"{value:.6g}"
    if isinstance(value, list):
        shown = ", ".join(_cell(item) for item in value[:_SHOWN_ITEMS])
        return f"[{shown}, … {len(value)} in all]" if len(value) > _SHOWN_ITEMS else f"[{shown}]"
    text = "" if value is None else str(value).replace("\n", " ")
    return text if len(text) <= _SHOWN_WIDTH else text[: _SHOWN_WIDTH - 1] + "…"
