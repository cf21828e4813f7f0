"""Sources of records, each a structure or a formula with any number of properties: JSON, extended XYZ, ASE databases.

Nothing says beforehand which properties there are and of which type, so that a source is gone through twice.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from matlake.errors import SourceError, StructureError
from matlake.materials.crystal import Crystal
from matlake.store.importing.readers.cells import number_of, stands_for_nothing
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

MOST_PROPERTIES: Final = 1000
_LARGEST_INTEGER: Final = 2**63
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


@dataclass
class _Values:
    """How many values of a property are of which kind."""

    truths: int = 0
    integers: int = 0
    floats: int = 0
    numbers_as_text: int = 0
    texts: int = 0

    def add(self, value: float | str) -> None:
        if isinstance(value, bool):
            self.truths += 1
        elif isinstance(value, int) and -_LARGEST_INTEGER <= value < _LARGEST_INTEGER:
            self.integers += 1
        elif isinstance(value, int | float):
            self.floats += 1
        elif number_of(value) is not None:
            self.numbers_as_text += 1
        elif not stands_for_nothing(value):
            self.texts += 1

    def kind(self) -> pa.DataType:
        """Return the type of more than half of the values; text alone stays text, whatever it says."""
        numbers = self.integers + self.floats
        if not numbers and not self.truths:
            return pa.string()
        both = numbers + self.numbers_as_text
        if both > self.truths + self.texts:
            return pa.int64() if both == self.integers else pa.float64()
        return pa.bool_() if self.truths > both + self.texts else pa.string()


def open_records(path: Path, read: Callable[[bool], Iterator[Record]], named: KeyColumns = NO_NAMES) -> Source:
    """Go through records once, to find their number, their properties and the types of those.

    Args:
        path: The file.
        read: Yields its records; takes whether structures are wanted.
        named: Properties that are formulas or ids, besides those by usual names: they are kept as written.

    Raises:
        SourceError: There are none, or more than ``MOST_PROPERTIES`` properties, or two that SQL cannot tell apart.
    """
    found: dict[str, _Values] = {}
    left_out: dict[str, None] = {}
    rows, structures = 0, False
    for record in read(False):
        rows += 1
        structures |= record.has_structure
        for name, value in record.properties.items():
            if isinstance(value, bool | int | float | str):
                found.setdefault(name, _Values()).add(value)
            elif value is not None:
                left_out[name] = None
        if len(found) + len(left_out) > MOST_PROPERTIES:
            raise SourceError(f"{path} has more than {MOST_PROPERTIES:,} different properties", "make a table of it")
    if not rows:
        raise SourceError(f"{path} holds no structures")
    refuse_double_names(path, list(found))
    written = key_columns(list(found), named)
    kinds = {name: pa.string() if name in written else values.kind() for name, values in found.items()}
    structures |= usual_column(list(found), FORMULA_COLUMNS) is None and named.formula is None
    batches = partial(_batches, kinds, written, read, structures=structures)
    source = Source(str(path), pa.schema(kinds.items()), rows, batches, has_structures=structures)
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
            read_as = _text if name in written else _READERS[kind]
            values = [None if value is None else read_as(value) for value in given]
            columns.append(pa.array(values, kind))
            unread += [
                UnreadCell(row, name, str(value))
                for row, value in enumerate(given)
                if values[row] is None and _is_filled(value)
            ]
        rows_read = pa.RecordBatch.from_arrays(columns, schema=pa.schema(kinds.items()))
        yield Batch(rows_read, crystals if structures else None, unread)


def _is_filled(value: object) -> bool:
    if isinstance(value, str):
        return not stands_for_nothing(value)
    return isinstance(value, int | float) and value == value  # NaN is a missing value  # noqa: PLR0124


def _number(value: object) -> float | None:
    """Return a finite number, also from a text that is one; None for anything else."""
    if isinstance(value, bool):
        return None
    number = number_of(value) if isinstance(value, str) else value
    try:
        return float(number) if isinstance(number, int | float) and math.isfinite(number) else None
    except OverflowError:  # a whole number beyond all floats
        return None


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _truth(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _text(value: object) -> str | None:
    """Return formulas, ids and texts as written: 12.0 of a program that knows no integers is ``12``."""
    if isinstance(value, float):
        return None if math.isnan(value) else str(int(value) if value.is_integer() else value)
    return str(value).strip() or None if isinstance(value, str | int) else None


_READERS: Final[dict[pa.DataType, Callable[[object], Any]]] = {
    pa.float64(): _number,
    pa.int64(): _integer,
    pa.bool_(): _truth,
    pa.string(): _text,
}
