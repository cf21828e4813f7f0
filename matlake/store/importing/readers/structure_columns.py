"""Columns of a table that say what the structure of each row is: those of OPTIMADE, or an object in one column.

OPTIMADE's columns are what LeMaterial publishes (LeMat-Bulk); objects are structures of pymatgen or atoms of JARVIS as
Parquet nests them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from matlake.errors import StructureError
from matlake.materials.crystal import Crystal
from matlake.store.importing.readers.source import STRUCTURE_COLUMNS

_AT_ONCE: Final = 1024  # rows that become Python objects
_AXES: Final = 3


@dataclass(frozen=True)
class StructureColumns:
    """Where the structures of a table are.

    Attributes:
        names: Columns that are read.
        crystals: Yields the crystal of each row of these columns, or what is wrong with it; takes the largest cell.
    """

    names: tuple[str, ...]
    crystals: Callable[[pa.RecordBatch, int], Iterator[Crystal | StructureError]]


def find_structure_columns(schema: pa.Schema) -> StructureColumns | None:
    """Return the columns that hold structures, None where there are none; columns of text are not looked at."""
    from matlake.materials.structure_files.dictionaries import form_of
    from matlake.materials.structure_files.optimade_json import STRUCTURE_FIELDS

    names = [name for name in schema.names if schema.names.count(name) == 1]
    if form_of(dict.fromkeys(names)) == "OPTIMADE":
        fields = tuple(name for name in names if name in STRUCTURE_FIELDS)
        return StructureColumns(fields, _of_optimade)
    lower = {name.lower(): name for name in names if pa.types.is_struct(schema.field(name).type)}
    for usual in STRUCTURE_COLUMNS:
        kind = schema.field(lower[usual]).type if usual in lower else None
        if kind is not None and form_of({kind.field(place).name: None for place in range(kind.num_fields)}):
            return StructureColumns((lower[usual],), partial(_of_objects, lower[usual]))
    return None


def _of_objects(name: str, rows: pa.RecordBatch, max_atoms: int) -> Iterator[Crystal | StructureError]:
    column = rows.column(name)
    for start in range(0, len(column), _AT_ONCE):
        for found in column.slice(start, _AT_ONCE).to_pylist():
            yield _crystal(found, max_atoms)


def _of_optimade(rows: pa.RecordBatch, max_atoms: int) -> Iterator[Crystal | StructureError]:
    """Read rows of OPTIMADE's columns; numbers go from Arrow to numpy without being objects in between."""
    from matlake.materials.structure_files.optimade_json import LATTICE, POSITIONS

    for start in range(0, rows.num_rows, _AT_ONCE):
        some = rows.slice(start, _AT_ONCE)
        columns = {
            name: _vectors(column) if name in (LATTICE, POSITIONS) else column.to_pylist()
            for name, column in zip(some.schema.names, some.columns, strict=True)
        }
        for values in zip(*columns.values(), strict=True):
            yield _crystal(dict(zip(columns, values, strict=True)), max_atoms)


def _vectors(column: pa.Array) -> list[Any]:
    """Return the vectors of each row, float64 [n, 3]; None where a row has none; NaN for a number that is null."""
    if not pa.types.is_list(column.type) and not pa.types.is_large_list(column.type):
        return list(column.to_pylist())
    vectors = pc.list_flatten(column)
    lengths = pc.list_value_length(vectors) if pa.types.is_nested(vectors.type) else None
    if lengths is None or vectors.null_count or not pc.all(pc.equal(lengths, _AXES), min_count=0).as_py():
        return list(column.to_pylist())
    numbers: NDArray[np.float64] = pc.cast(pc.list_flatten(vectors), pa.float64()).to_numpy(zero_copy_only=False)
    each = numbers.reshape(-1, _AXES)
    ends = np.cumsum(pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False))
    starts = [0, *ends[:-1].tolist()]
    valid = column.is_valid().to_pylist()
    return [each[start:end] if there else None for start, end, there in zip(starts, ends.tolist(), valid, strict=True)]


def _crystal(found: Any, max_atoms: int) -> Crystal | StructureError:
    from matlake.materials.structure_files.dictionaries import crystal_of

    try:
        return crystal_of(found, max_atoms=max_atoms)
    except StructureError as error:
        return error
