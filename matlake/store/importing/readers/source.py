"""What all sources have in common."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeVar

import pyarrow as pa

from matlake.errors import SourceError, StructureError
from matlake.materials.crystal import Crystal

STRUCTURE_COLUMNS: Final = ("structure", "cif", "poscar", "contcar", "crystal", "cif_string", "structure_json", "atoms")
"""Usual names of a column of structures, in order of preference; capitals aside."""

SPELLED_FORMULA_COLUMNS: Final = ("formula", "composition", "pretty_formula", "formula_pretty", "reduced_formula")
"""Usual names of a column of formulas as chemists write them, in order of preference; capitals aside."""

FORMULA_COLUMNS: Final = (*SPELLED_FORMULA_COLUMNS, "chemical_formula_reduced")
"""The same with OPTIMADE's, whose elements stand in alphabetical order: it is taken where there is no structure."""

ID_COLUMNS: Final = ("material_id", "id", "jid", "mat_id", "immutable_id", "entry_id")
"""Usual names of a column of ids, in order of preference; capitals aside."""

NAMELESS: Final = "unnamed"
"""What a column without a name is called."""

MOST_COLUMNS: Final = 5000
"""Columns of a table: each takes 0.3 to 1 ms to import, and the same again in every query of the lake."""

Row = TypeVar("Row")

_BATCH_CRYSTALS: Final = 8192
_BATCH_ATOMS: Final = 1_000_000


@dataclass(frozen=True)
class KeyColumns:
    """The columns that are kept as written: in them ``NaN``, ``NO`` and ``0012`` are what they are.

    Attributes:
        formula: The column of formulas; None where there is none, or none was named.
        id: The column of ids, likewise.
    """

    formula: str | None = None
    id: str | None = None

    def __contains__(self, name: str) -> bool:
        """Tell whether a column is one of them."""
        return name in (self.formula, self.id)


NO_NAMES: Final = KeyColumns()


@dataclass(frozen=True)
class BadLine:
    """A line of a file that is not a row.

    Attributes:
        line: Line number in the file, the first being line 1.
        reason: What is wrong with it.
    """

    line: int
    reason: str


@dataclass(frozen=True)
class UnreadCell:
    """A cell that is filled, but not with a value of its column's type; it reads as missing.

    Attributes:
        row: Its row in the batch.
        column: Its column.
        text: What stands there.
    """

    row: int
    column: str
    text: str


@dataclass(frozen=True)
class Batch:
    """Some rows of a source.

    Attributes:
        columns: Formulas, ids and properties, as many as the source has.
        crystals: The structure of each row, or what is wrong with it; None for a source without structures.
        unread: Cells that are null because they hold something else than their column.
        errors: Row of a source without structures -> why nothing in it could be read.
    """

    columns: pa.RecordBatch
    crystals: list[Crystal | StructureError] | None = None
    unread: Sequence[UnreadCell] = ()
    errors: Mapping[int, str] = field(default_factory=dict)

    def slice(self, start: int, rows: int, crystals: list[Crystal | StructureError]) -> "Batch":
        """Return some of its rows, with their structures."""
        unread = [replace(cell, row=cell.row - start) for cell in self.unread if start <= cell.row < start + rows]
        return Batch(self.columns.slice(start, rows), crystals, unread)


@dataclass(frozen=True)
class Source:
    """Something to import.

    Attributes:
        name: What messages and ``datasets show`` call it: a path, "a DataFrame".
        schema: Names and types of the columns as they will be stored: int64, float64, bool, string or timestamp.
        rows: Number of rows, bad lines not counted; a file may turn out to hold several crystals.
        batches: Yields the rows in order, in batches of bounded size; NaN and infinity are null.
        has_structures: Whether its rows are crystals.
        notes: Remarks for the user (columns left out, columns kept as text).
        bad_lines: Lines that are no rows; filled while the source is read.
    """

    name: str
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


def usual_column(names: Sequence[str], usual: Sequence[str]) -> str | None:
    """Return the first column by a usual name, capitals aside; None where there is none."""
    lower = {name.lower(): name for name in names}
    return next((lower[name] for name in usual if name in lower), None)


def key_columns(names: Sequence[str], named: KeyColumns) -> KeyColumns:
    """Return the columns of formulas and ids of a source, None where it has none.

    Args:
        names: All columns.
        named: Those that the user named; the others are found by their usual names.
    """
    formula = named.formula or usual_column(names, FORMULA_COLUMNS)
    identifier = named.id or usual_column(names, ID_COLUMNS)
    return KeyColumns(formula if formula in names else None, identifier if identifier in names else None)


def refuse_too_many_columns(source: str, count: int) -> None:
    """Refuse a table that is wider than ``MOST_COLUMNS``.

    Raises:
        SourceError: It is.
    """
    if count > MOST_COLUMNS:
        raise SourceError(
            f"{source} has {count:,} columns, more than {MOST_COLUMNS:,}",
            "leave out columns that are not properties; features belong to an encoder",
        )


def refuse_double_names(source: str, names: Sequence[str]) -> None:
    """Refuse columns that SQL would not tell apart, such as ``Formula`` and ``formula``.

    Raises:
        SourceError: There are such.
    """
    seen: set[str] = set()
    for name in names:
        if name.lower() in seen:
            raise SourceError(f"{source} has two columns named {name!r}, capitals aside", "rename one of them")
        seen.add(name.lower())


def distinct_names(source: str, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Give each column of a table a name of its own in SQL: the second ``gap_eV`` becomes ``gap_eV_2``.

    Args:
        source: What messages call the table.
        names: Its columns.

    Returns:
        The names, and a remark on each that is new.

    Raises:
        SourceError: Two columns may hold the formulas, ids or structures.
    """
    roles = {*FORMULA_COLUMNS, *ID_COLUMNS, *STRUCTURE_COLUMNS}
    refuse_double_names(source, [name for name in names if name.lower() in roles])
    taken = {name.lower() for name in names}
    seen: set[str] = set()
    distinct, notes = [], []
    for name in names:
        new, number = name, 1
        while new.lower() in seen or (number > 1 and new.lower() in taken):
            number += 1
            new = f"{name}_{number}"
        if new != name:
            notes.append(f"a second column {name} renamed to {new}: SQL does not tell capitals apart")
        seen.add(new.lower())
        distinct.append(new)
    return distinct, notes
