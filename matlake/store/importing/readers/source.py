"""What all sources have in common."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import pyarrow as pa

from matlake.errors import SourceError, StructureError
from matlake.materials.crystal import Crystal

STRUCTURE_COLUMNS: Final = ("structure", "cif", "poscar", "contcar", "crystal", "cif_string", "structure_json")
"""Usual names of a column of structures, in order of preference; capitals aside."""

Row = TypeVar("Row")

_BATCH_CRYSTALS: Final = 8192
_BATCH_ATOMS: Final = 1_000_000


@dataclass(frozen=True)
class BadLine:
    """A line of a file that is no row.

    Attributes:
        line: Line number in the file, the first being line 1.
        reason: What is wrong with it.
    """

    line: int
    reason: str


@dataclass(frozen=True)
class Batch:
    """Some rows of a source.

    Attributes:
        columns: Formulas, ids and properties, as many as the source has.
        crystals: The structure of each row, or what is wrong with it; None for a source without structures.
    """

    columns: pa.RecordBatch
    crystals: list[Crystal | StructureError] | None = None


@dataclass(frozen=True)
class Source:
    """Something to import.

    Attributes:
        path: Where it is.
        schema: Names and types of the columns as they will be stored: int64, float64, bool, string or timestamp.
        rows: Number of rows, bad lines not counted; a file may turn out to hold several crystals.
        batches: Yields the rows in order, in batches of bounded size; missing numbers (NaN) are null.
        has_structures: Whether its rows are crystals.
        notes: Remarks for the user (columns left out, columns kept as text).
        bad_lines: Lines that are no rows; filled while the source is read.
    """

    path: Path
    schema: pa.Schema
    rows: int
    batches: Callable[[], Iterator[Batch]]
    has_structures: bool = True
    notes: list[str] = field(default_factory=list)
    bad_lines: list[BadLine] = field(default_factory=list)


def bounded(
    rows: Iterable[tuple[Row, Crystal | StructureError]],
) -> Iterator[tuple[list[Row], list[Crystal | StructureError]]]:
    """Gather rows into batches that are bounded both in rows and in atoms."""
    others: list[Row] = []
    crystals: list[Crystal | StructureError] = []
    atoms = 0
    for other, crystal in rows:
        others.append(other)
        crystals.append(crystal)
        atoms += len(crystal.numbers) if isinstance(crystal, Crystal) else 0
        if len(crystals) >= _BATCH_CRYSTALS or atoms >= _BATCH_ATOMS:
            yield others, crystals
            others, crystals, atoms = [], [], 0
    if crystals:
        yield others, crystals


def refuse_double_names(path: Path, names: list[str]) -> None:
    """Refuse columns that SQL would not tell apart, such as ``Formula`` and ``formula``.

    Raises:
        SourceError: There are such.
    """
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            raise SourceError(f"{path} has two columns named {name!r}, capitals aside", "rename one of them")
        seen.add(name.lower())
