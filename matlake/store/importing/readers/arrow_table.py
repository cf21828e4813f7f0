"""Arrow tables, in Parquet files or in memory, with the types of a dataset: stated types are kept, text stays text."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from matlake.store.importing.readers.cells import Tally, as_written, nan_as_null
from matlake.store.importing.readers.source import (
    Batch,
    KeyColumns,
    UnreadCell,
    distinct_names,
    key_columns,
    refuse_too_many_columns,
)

BATCH_ROWS: Final = 65_536
_LOOKED_AT: Final = 1000  # rows, for a remark on texts
_INDEX: Final = "__index_level_"


@dataclass
class ArrowTable:
    """A table whose columns state their types.

    Attributes:
        name: What messages call it.
        schema: Names and types of the columns that are kept.
        places: Where each of them stands in the table.
        as_written: Those that hold formulas or ids.
        rows: Number of rows.
        stored: Yields the table as it is.
        notes: Remarks for the user.
    """

    name: str
    schema: pa.Schema
    places: list[int]
    as_written: KeyColumns
    rows: int
    stored: Callable[[], Iterator[pa.RecordBatch]]
    notes: list[str]

    def raw_batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the columns that are kept, with the types of the table."""
        for batch in self.stored():
            columns = [_plain(batch.column(place)) for place in self.places]
            yield pa.RecordBatch.from_arrays(columns, names=self.schema.names)

    def read(self, raw: pa.RecordBatch) -> Batch:
        """Return rows with the types of the schema; they may lack some of its columns."""
        fields = [self.schema.field(name) for name in raw.schema.names]
        columns, unread = [], []
        for (name, kind), column in zip(((f.name, f.type) for f in fields), raw.columns, strict=True):
            if name in self.as_written and kind == pa.string():
                columns.append(as_written(column))
                continue
            values = pc.cast(column, kind, safe=False)
            if pa.types.is_floating(kind):
                infinite = pc.is_inf(values)
                if pc.any(infinite).as_py():
                    places = pc.indices_nonzero(infinite).to_pylist()
                    unread += [UnreadCell(row, name, str(values[row].as_py())) for row in places]
                    values = pc.if_else(infinite, pa.scalar(None, kind), values)
                values = nan_as_null(values)
            columns.append(values)
        return Batch(pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields)), unread=unread)


def open_parquet_table(path: Path, named: KeyColumns) -> ArrowTable:
    """Look at a Parquet file: names and types of its columns.

    Args:
        path: The file.
        named: Columns of formulas or ids, besides those by usual names.

    Raises:
        SourceError: It has too many columns, or two that may hold the formulas.
    """
    with pq.ParquetFile(path) as file:
        schema, rows = file.schema_arrow, file.metadata.num_rows
    return open_arrow_table(str(path), schema, rows, partial(_parquet_batches, path), named)


def open_arrow_table(
    name: str, stored: pa.Schema, rows: int, batches: Callable[[], Iterator[pa.RecordBatch]], named: KeyColumns
) -> ArrowTable:
    """Look at a table of Arrow: names and types of its columns.

    Args:
        name: What messages call it.
        stored: Its schema.
        rows: Number of rows.
        batches: Yields the table in batches of bounded size.
        named: Columns of formulas or ids, besides those by usual names.

    Raises:
        SourceError: It has too many columns, or two that may hold the formulas.
    """
    refuse_too_many_columns(name, len(stored))
    names, notes = distinct_names(name, [column.strip() or "unnamed" for column in stored.names])
    written = key_columns(names, named)
    fields, places = [], []
    for place, (column, kind) in enumerate(zip(names, stored.types, strict=True)):
        kept = _storable(kind)
        if kept is None:
            notes.append(f"column {column} of type {kind} left out")
        elif column.startswith(_INDEX) and pa.types.is_integer(kind):
            notes.append(f"column {column} left out: it is the index of a pandas table")
        else:
            fields.append(pa.field(column, pa.string() if column == written.id else kept))
            places.append(place)
    table = ArrowTable(name, pa.schema(fields), places, written, rows, batches, notes)
    notes += _texts_of_numbers(table)
    return table


def _parquet_batches(path: Path) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=BATCH_ROWS)


def _storable(kind: pa.DataType) -> pa.DataType | None:
    types = pa.types
    if types.is_dictionary(kind):
        kind = kind.value_type
    if types.is_boolean(kind):
        return pa.bool_()
    if types.is_integer(kind) and kind != pa.uint64():
        return pa.int64()
    if types.is_floating(kind) or types.is_decimal(kind) or types.is_integer(kind):
        return pa.float64()
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind) or types.is_null(kind):
        return pa.string()
    return pa.timestamp("us") if types.is_timestamp(kind) or types.is_date(kind) else None


def _plain(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _texts_of_numbers(table: ArrowTable) -> list[str]:
    """Return remarks on columns that the table types as text, although their first cells are numbers."""
    texts = [
        name
        for name, kind in zip(table.schema.names, table.schema.types, strict=True)
        if kind == pa.string() and name not in table.as_written
    ]
    if not texts or (first := next(table.raw_batches(), None)) is None:
        return []
    notes = []
    for name in texts:
        tally = Tally()
        tally.add(pc.cast(first.column(name).slice(0, _LOOKED_AT), pa.string()))
        if tally.kind(decimal_comma=False) not in (pa.string(), pa.bool_()):
            notes.append(
                f"column {name} is text in {table.name} and stays text, although it holds numbers: convert it there"
            )
    return notes
