"""Sources of records, each a structure with any number of properties: JSON, extended XYZ, ASE databases.

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
from matlake.store.importing.readers.source import Batch, Source, bounded, refuse_double_names

MOST_PROPERTIES: Final = 1000
_LARGEST_INTEGER: Final = 2**63
_TYPES: Final = (pa.bool_(), pa.int64(), pa.float64(), pa.string())
_NAMES_SHOWN: Final = 8


@dataclass(frozen=True)
class Record:
    """A row of such a source.

    Attributes:
        properties: Name and value; those that are neither number nor truth value nor text are left out.
        crystal: Its structure, or what is wrong with it; None where structures were not asked for.
    """

    properties: Mapping[str, Any]
    crystal: Crystal | StructureError | None


def open_records(path: Path, read: Callable[[bool], Iterator[Record]]) -> Source:
    """Go through records once, to find their number, their properties and the types of those.

    Args:
        path: The file.
        read: Yields its records; takes whether structures are wanted.

    Raises:
        SourceError: There are none, or more than ``MOST_PROPERTIES`` properties, or two that SQL cannot tell apart.
    """
    ranks: dict[str, int] = {}
    left_out: dict[str, None] = {}
    rows = 0
    for record in read(False):
        rows += 1
        for name, value in record.properties.items():
            rank = _rank(value)
            if rank is None:
                if value is not None:
                    left_out[name] = None
                continue
            known = ranks.get(name)
            ranks[name] = rank if known is None else _common(known, rank)
        if len(ranks) + len(left_out) > MOST_PROPERTIES:
            raise SourceError(f"{path} has more than {MOST_PROPERTIES:,} different properties", "make a table of it")
    if not rows:
        raise SourceError(f"{path} holds no structures")
    refuse_double_names(path, list(ranks))
    schema = pa.schema([(name, _TYPES[rank]) for name, rank in ranks.items()])
    source = Source(path, schema, rows, partial(_batches, schema, read))
    if left_out:
        names = ", ".join(list(left_out)[:_NAMES_SHOWN]) + (", …" if len(left_out) > _NAMES_SHOWN else "")
        source.notes.append(f"properties left out because they are not single values: {names}")
    return source


def _batches(schema: pa.Schema, read: Callable[[bool], Iterator[Record]]) -> Iterator[Batch]:
    rows = ((record.properties, record.crystal or StructureError("no structure")) for record in read(True))
    for properties, crystals in bounded(rows):
        columns = [
            pa.array([_as(values.get(column.name), column.type) for values in properties], column.type)
            for column in schema
        ]
        yield Batch(pa.RecordBatch.from_arrays(columns, schema=schema), crystals)


def _rank(value: object) -> int | None:
    """Return the place of a value's type in ``_TYPES``; None for one that cannot be stored."""
    if isinstance(value, bool):
        return 0
    if isinstance(value, int):
        return 1 if -_LARGEST_INTEGER <= value < _LARGEST_INTEGER else 2
    if isinstance(value, float):
        return 2
    return 3 if isinstance(value, str) else None


def _common(one: int, other: int) -> int:
    """Return the narrowest type for both; truth values and numbers have only text in common."""
    return max(one, other) if one == other or min(one, other) > 0 else len(_TYPES) - 1


def _as(value: object, kind: pa.DataType) -> object:
    if _rank(value) is None:
        return None
    if kind == pa.string():
        return str(value)
    if kind == pa.float64() and isinstance(value, int | float):
        try:
            return None if math.isnan(value) else float(value)
        except OverflowError:  # a whole number beyond all floats
            return None
    return value
