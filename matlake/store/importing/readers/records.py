"""Sources of records, each a structure or a formula with any number of properties: JSON, extended XYZ, ASE databases.

Nothing says beforehand which properties there are and of which type, so that a source is gone through twice.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import pyarrow as pa

from matlake.errors import SourceError, StructureError
from matlake.materials.crystal import Crystal
from matlake.store.importing.readers.source import (
    FORMULA_COLUMNS,
    NO_NAMES,
    Batch,
    KeyColumns,
    Source,
    UnreadCell,
    bounded,
    key_columns,
    refuse_double_names,
    usual_column,
)
from matlake.store.importing.readers.values import Values, read_values

MOST_PROPERTIES: Final = 1000
_NAMES_SHOWN: Final = 8


@dataclass(frozen=True)
class Record:
    """A row of such a source.

    Attributes:
        properties: Name and value; those that are neither number nor truth value nor text are left out.
        crystal: Its structure, or what is wrong with it; None where structures were not asked for.
        has_structure: Whether it has a place for one.
    """

    properties: Mapping[str, Any]
    crystal: Crystal | StructureError | None
    has_structure: bool = True


def open_records(name: str, read: Callable[[bool], Iterator[Record]], named: KeyColumns = NO_NAMES) -> Source:
    """Go through records once, to find their number, their properties and the types of those.

    Args:
        name: What messages call the source.
        read: Yields its records; takes whether structures are wanted.
        named: Properties that are formulas or ids, besides those by usual names: they are kept as written.

    Raises:
        SourceError: There are none, or more than ``MOST_PROPERTIES`` properties, or two that SQL cannot tell apart.
    """
    found: dict[str, Values] = {}
    left_out: dict[str, None] = {}
    rows, structures = 0, False
    for record in read(False):
        rows += 1
        structures |= record.has_structure
        for key, value in record.properties.items():
            if isinstance(value, bool | int | float | str):
                found.setdefault(key, Values()).add(value)
            elif value is not None:
                left_out[key] = None
        if len(found) + len(left_out) > MOST_PROPERTIES:
            raise SourceError(f"{name} has more than {MOST_PROPERTIES:,} different properties", "make a table of it")
    if not rows:
        raise SourceError(f"{name} holds no structures")
    refuse_double_names(name, list(found))
    written = key_columns(list(found), named)
    kinds = {key: pa.string() if key in written else values.kind() for key, values in found.items()}
    structures |= usual_column(list(found), FORMULA_COLUMNS) is None and named.formula is None
    batches = partial(_batches, kinds, written, read, structures=structures)
    source = Source(name, pa.schema(kinds.items()), rows, batches, has_structures=structures)
    if left_out:
        names = ", ".join(list(left_out)[:_NAMES_SHOWN]) + (", …" if len(left_out) > _NAMES_SHOWN else "")
        source.notes.append(f"properties left out because they are not single values: {names}")
    return source


def _batches(
    kinds: Mapping[str, pa.DataType],
    written: KeyColumns,
    read: Callable[[bool], Iterator[Record]],
    *,
    structures: bool,
) -> Iterator[Batch]:
    rows = ((record.properties, record.crystal or StructureError("no structure")) for record in read(structures))
    for properties, crystals in bounded(rows):
        columns: list[pa.Array] = []
        unread: list[UnreadCell] = []
        for name, kind in kinds.items():
            given = [values.get(name) for values in properties]
            column, places = read_values(given, kind, as_written=name in written)
            columns.append(column)
            unread += [UnreadCell(row, name, str(given[row])) for row in places]
        rows_read = pa.RecordBatch.from_arrays(columns, schema=pa.schema(kinds.items()))
        yield Batch(rows_read, crystals if structures else None, unread)
