"""Columns in memory as a source: those of stated types as a file of them would be read, the others value by value."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Final

import pyarrow as pa

from matlake.errors import Hint, SourceError, StructureError
from matlake.materials.crystal import Crystal
from matlake.materials.objects import crystal_or_error, is_missing
from matlake.store.importing.readers.arrow_table import BATCH_ROWS, ArrowTable, open_arrow_table
from matlake.store.importing.readers.frames import HEAD, Column, Columns, typed
from matlake.store.importing.readers.memory_cells import formula_text, holds_structure, plain_value
from matlake.store.importing.readers.records import Record, open_records
from matlake.store.importing.readers.source import (
    NAMELESS,
    STRUCTURE_COLUMNS,
    Batch,
    KeyColumns,
    Source,
    bounded,
    distinct_names,
    key_columns,
    refuse_too_many_columns,
)
from matlake.store.importing.readers.structure_columns import StructureColumns

_ROW: Final = "\0row"


@dataclass(frozen=True)
class _Table:
    """A table to be read in batches.

    Attributes:
        schema: All columns but that of structures.
        stored: The columns that state a type, as they are.
        stated: How they are read.
        untyped: The others; None where there are none, or none holds single values.
        crystals: Yields the structures of some rows, by the first and their number, or what is wrong with each; None
            for a table of compositions.
    """

    schema: pa.Schema
    stored: pa.Table
    stated: ArrowTable
    untyped: Source | None
    crystals: Callable[[int, int], Iterator[Crystal | StructureError]] | None

    def batches(self) -> Iterator[Batch]:
        start = 0
        for batch in self._rows():
            count = batch.columns.num_rows
            if self.crystals is None:
                yield batch
            else:
                for rows, crystals in bounded(enumerate(self.crystals(start, count))):
                    yield batch.slice(rows[0], len(rows), crystals)
            start += count

    def _rows(self) -> Iterator[Batch]:
        """Yield all columns but that of structures, those without a type beside those that have one."""
        if self.untyped is None:
            for start in range(0, self.stored.num_rows, BATCH_ROWS):
                yield self._stated(start, BATCH_ROWS)
            return
        start = 0
        for others in self.untyped.batches():
            batch = self._stated(start, others.columns.num_rows)
            columns = {
                name: side.columns.column(name) for side in (others, batch) for name in side.columns.schema.names
            }
            rows = pa.RecordBatch.from_arrays([columns[name] for name in self.schema.names], schema=self.schema)
            unread = [cell for cell in others.unread if cell.column not in self.stated_names]
            yield Batch(rows, unread=[*batch.unread, *unread])
            start += rows.num_rows

    def _stated(self, start: int, count: int) -> Batch:
        (some,) = self.stored.slice(start, count).combine_chunks().to_batches()
        batch = self.stated.read(self.stated.kept(some))
        return Batch(batch.columns.select(self.stated_names), unread=batch.unread)

    @property
    def stated_names(self) -> list[str]:
        return [name for name in self.stated.schema.names if name != _ROW]


def open_columns(columns: Columns, structure_column: str | None, max_atoms: int, named: KeyColumns) -> Source:
    """Look at columns: which of them holds structures, which types the others have.

    Args:
        columns: The table.
        structure_column: Column of structures; by default the first by a usual name that holds some, else the only one
            that holds objects which are structures.
        max_atoms: Largest cell that is read.
        named: Columns of formulas or ids, besides those by usual names.

    Raises:
        SourceError: There are no rows, too many columns, or two that may hold the same; or a column that was named is
            not there, or holds something else.
    """
    rows = len(columns.values[0]) if columns.values else 0
    if not rows:
        raise SourceError(f"{columns.name} has no rows")
    refuse_too_many_columns(columns.name, len(columns.names))
    names, notes = distinct_names(columns.name, [name.strip() or NAMELESS for name in columns.names])
    found = dict(zip(names, map(typed, columns.values), strict=True))
    structures = _structure_column(columns.name, found, structure_column)
    held = None if structures is None else found.pop(structures)
    stated = {name: values for name, values in found.items() if isinstance(values, pa.ChunkedArray)}
    others = {name: values for name, values in found.items() if isinstance(values, list)}
    stored = pa.table({**stated, _ROW: pa.array(range(rows))})  # a table without columns would have no rows
    arrow = open_arrow_table(columns.name, stored.schema, rows, partial(stored.to_batches, BATCH_ROWS), named)
    untyped = _open_untyped(columns.name, others, rows, named) if others else None
    fields = {field.name: field for side in (untyped, arrow) if side is not None for field in side.schema}
    twice = [field.name for field in (untyped.schema if untyped else ()) if field.name in arrow.schema.names]
    notes += [f"a field that would be called {name} left out: there is a column of that name" for name in twice]
    schema = pa.schema([fields[name] for name in dict.fromkeys((*found, *fields)) if name in fields and name != _ROW])
    crystals = None
    if held is not None:
        crystals = partial(_of_column, held, max_atoms)
    elif arrow.structures is not None:
        crystals = partial(_of_columns, stored, arrow.structures, max_atoms)
    whole = _Table(schema, stored, arrow, untyped if untyped and len(untyped.schema) else None, crystals)
    notes = [*columns.notes, *notes, *arrow.notes, *(untyped.notes if untyped else ())]
    return Source(columns.name, schema, rows, whole.batches, crystals is not None, notes)


def _of_column(column: Column, max_atoms: int, start: int, count: int) -> Iterator[Crystal | StructureError]:
    cells = column[start : start + count]
    for cell in cells if isinstance(cells, list) else cells.to_pylist():
        yield crystal_or_error(cell, max_atoms=max_atoms)


def _of_columns(
    table: pa.Table, structures: StructureColumns, max_atoms: int, start: int, count: int
) -> Iterator[Crystal | StructureError]:
    (some,) = table.select(list(structures.names)).slice(start, count).combine_chunks().to_batches()
    yield from structures.crystals(some, max_atoms)


def _open_untyped(source: str, columns: dict[str, list[Any]], rows: int, named: KeyColumns) -> Source:
    """Look at columns of values that state no common type."""
    formulas = key_columns(list(columns), named).formula

    def read(_structures: bool) -> Iterator[Record]:
        for row in range(rows):
            values = {name: plain_value(column[row]) for name, column in columns.items()}
            if formulas is not None:
                values[formulas] = formula_text(values[formulas])
            yield Record(values, None, has_structure=False)

    return open_records(source, read, named)


def _structure_column(source: str, found: dict[str, Column], named: str | None) -> str | None:
    if named is not None:
        if named not in found:
            raise SourceError(f"{source} has no column {named!r}", f"its columns: {', '.join(found)}")
        if not _hold_structures(found[named], text=True):
            raise SourceError(
                f"column {named!r} of {source} holds no structures",
                "structures are pymatgen Structures, ASE Atoms, text of CIF or POSCAR files, pymatgen dictionaries",
            )
        return named
    lower = {name.lower(): name for name in found}
    usual = [lower[name] for name in STRUCTURE_COLUMNS if name in lower]
    for name in usual:
        if _hold_structures(found[name], text=True):
            return name
    objects = [name for name, values in found.items() if _hold_structures(values, text=False)]
    if len(objects) > 1:
        raise SourceError(
            f"several columns of {source} hold structures: {', '.join(objects)}",
            Hint(f"name one: structure={objects[0]!r}", cli=f"name one with --structure-column {objects[0]}"),
        )
    return objects[0] if objects else None


def _hold_structures(column: Column, *, text: bool) -> bool:
    """Tell by its first values whether a column holds structures."""
    if isinstance(column, pa.ChunkedArray):
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        is_text = kind in (pa.string(), pa.large_string(), pa.string_view())
        if not (pa.types.is_struct(kind) or (text and is_text)):
            return False
        values = column.drop_null().slice(0, HEAD).to_pylist()
    else:
        values = list(islice((value for value in column if not is_missing(value)), HEAD))
    return any(holds_structure(value) for value in values if text or not isinstance(value, str))
