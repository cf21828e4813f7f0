"""Arrow tables, in Parquet files or in memory, with the types of a dataset: stated types are kept, text stays text."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from matlake.store.importing.readers.cells import Tally, as_written, nan_as_null
from matlake.store.importing.readers.source import (
    NAMELESS,
    Batch,
    KeyColumns,
    UnreadCell,
    bounded,
    distinct_names,
    key_columns,
    refuse_too_many_columns,
)
from matlake.store.importing.readers.structure_columns import StructureColumns, find_structure_columns

BATCH_ROWS: Final = 65_536
_LOOKED_AT: Final = 1000  # rows, for a remark on texts
_LONGEST_TYPE: Final = 60
_INDEX: Final = "__index_level_"


@dataclass
class ArrowTable:
    """A table whose columns state their types.

    Attributes:
        name: What messages call it.
        schema: Names and types of the columns that are kept.
        places: Where each of them stands in the table: a column, or a column and a field of the objects in it.
        as_written: Those that hold formulas or ids.
        rows: Number of rows.
        stored: Yields the table as it is.
        notes: Remarks for the user.
        structures: Columns that say what the structure of each row is; None where there are none.
    """

    name: str
    schema: pa.Schema
    places: list[tuple[int, ...]]
    as_written: KeyColumns
    rows: int
    stored: Callable[[], Iterator[pa.RecordBatch]]
    notes: list[str]
    structures: StructureColumns | None = None

    def raw_batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the columns that are kept, with the types of the table."""
        yield from map(self.kept, self.stored())

    def kept(self, stored: pa.RecordBatch) -> pa.RecordBatch:
        """Return the columns that are kept of some rows of the table."""
        columns = [_at(stored, place) for place in self.places]
        return pa.RecordBatch.from_arrays(columns, names=self.schema.names)

    def crystal_batches(self, max_atoms: int) -> Iterator[Batch]:
        """Yield rows with their structures, from the columns that hold these."""
        if self.structures is None:
            return
        for stored in self.stored():
            batch = self.read(self.kept(stored))
            crystals = self.structures.crystals(stored.select(list(self.structures.names)), max_atoms)
            for rows, some in bounded(enumerate(crystals)):
                yield batch.slice(rows[0], len(rows), some)

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
    structures = find_structure_columns(stored)
    columns = list(_columns(stored, structures.names if structures else ()))
    names, notes = distinct_names(name, [column.name for column in columns])
    written = key_columns(names, named)
    fields, places = [], []
    for column, distinct in zip(columns, names, strict=True):
        kept = _storable(column.kind)
        if kept is None:
            notes.append(f"column {distinct} of type {_short(column.kind)} left out")
        elif distinct.startswith(_INDEX) and pa.types.is_integer(column.kind):
            notes.append(f"column {distinct} left out: it is the index of a pandas table")
        else:
            fields.append(pa.field(distinct, pa.string() if distinct == written.id else kept))
            places.append(column.place)
    table = ArrowTable(name, pa.schema(fields), places, written, rows, batches, notes, structures)
    notes += _texts_of_numbers(table)
    return table


@dataclass(frozen=True)
class _Column:
    """A column, or a field of the objects in one."""

    name: str
    kind: pa.DataType
    place: tuple[int, ...]


def _columns(stored: pa.Schema, structures: Sequence[str]) -> Iterator[_Column]:
    """Yield the columns that are not structures; behind them, the fields of those that hold objects."""
    objects = []
    for place, field in enumerate(stored):
        name = field.name.strip() or NAMELESS
        if field.name in structures:
            continue
        if pa.types.is_struct(field.type) and field.type.num_fields:
            objects.append((name, place, field.type))
        else:
            yield _Column(name, field.type, (place,))
    for name, place, kind in objects:
        for inner in range(kind.num_fields):
            yield _Column(f"{name}_{kind.field(inner).name}", kind.field(inner).type, (place, inner))


def _at(stored: pa.RecordBatch, place: tuple[int, ...]) -> pa.Array:
    column = stored.column(place[0])
    for inner in place[1:]:
        column = pc.struct_field(column, inner)
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _short(kind: pa.DataType) -> str:
    text = str(kind)
    return text if len(text) <= _LONGEST_TYPE else f"{text[:_LONGEST_TYPE]}…"


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
            notes.append(f"column {name} is text and stays text, although it holds numbers: convert it first")
    return notes
