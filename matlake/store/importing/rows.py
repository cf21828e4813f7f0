"""From a batch of a source to rows of a dataset: materials, and rows that are none with the reason."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa

from matlake.errors import FormulaError, StructureError
from matlake.materials.crystal import COLUMNS, Crystal, CrystalColumns
from matlake.materials.disorder import DisorderedError
from matlake.materials.formula import Composition, parse_formula, readings
from matlake.materials.plain_formulas import read_plain_formulas
from matlake.store.importing.known_ids import KnownIds
from matlake.store.importing.readers import BadLine, Batch, UnreadCell
from matlake.store.importing.readers.cells import as_written

CORE_SCHEMA: Final = pa.schema(
    [
        ("source_row", pa.int64()),
        ("material_id", pa.string()),
        ("formula", pa.string()),
        ("elements", pa.list_(pa.string())),
        ("nelements", pa.int32()),
        ("nsites", pa.int32()),
        ("composition_hash", pa.string()),
        ("atomic_numbers", pa.list_(pa.int16())),
        ("fractions", pa.list_(pa.float64())),
        ("import_error", pa.string()),
        ("unread_cells", pa.list_(pa.struct([("property", pa.string()), ("text", pa.string())]))),
    ]
)
"""Columns of every dataset; ``fractions`` are those of the elements in ``atomic_numbers`` and sum to one, and
``unread_cells`` holds what stood in cells that are null because it is not of the column's type."""

CRYSTAL_SCHEMA: Final = pa.schema([("crystal_hash", pa.string()), ("crystal_error", pa.string()), *COLUMNS])
"""Further columns of a dataset of crystals; ``crystal_error`` says why a material has a composition alone."""

_LONGEST_TEXT: Final = 1000
_SHOWN_TEXT: Final = 40


@dataclass(frozen=True)
class ColumnRoles:
    """What the columns of a source are to a dataset.

    Attributes:
        formula: The column of formulas.
        id: The column of ids.
        properties: Name in the source -> name in the dataset.
    """

    formula: str | None
    id: str | None
    properties: dict[str, str]


@dataclass
class RowBuilder:
    """Makes rows of batches, in order.

    Attributes:
        dataset: Its name, from which ids are made up where the source has none.
        roles: What the columns of the source are.
        schema: Schema of the dataset.
        unread: Property -> number of its cells that are null because they hold something else.
    """

    dataset: str
    roles: ColumnRoles
    schema: pa.Schema
    unread: Counter[str] = field(default_factory=Counter)
    _first_unread: dict[str, str] = field(default_factory=dict)
    _mismatches: int = 0
    _first_mismatch: str = ""
    _disordered: int = 0
    _first_disordered: str = ""
    _ids: KnownIds = field(default_factory=KnownIds)
    _row: int = 0

    def notes(self) -> list[str]:
        """Return remarks on cells that were not read, on formulas that are not their structures', and on disorder."""
        notes = [
            f"cells of {name} that hold another kind of value and read as missing: {count:,}, such as "
            f"{self._first_unread[name]}; the view unread_cells lists them"
            for name, count in self.unread.items()
        ]
        if self._mismatches:
            taken = "rows have a formula that is not their structure's; the structure's was taken"
            notes.append(f"{self._mismatches:,} {taken}: {self._first_mismatch}")
        if self._disordered:
            taken = "materials are disordered: they have a composition, without vacancies, and no crystal"
            notes.append(f"{self._disordered:,} {taken}, such as {self._first_disordered}")
        return notes

    def rows(self, batch: Batch) -> pa.Table:
        """Return the rows of a batch."""
        count = batch.columns.num_rows if batch.crystals is None else len(batch.crystals)
        if self.roles.id:
            ids = as_written(batch.columns.column(self.roles.id))
        else:
            ids = pa.array([f"{self.dataset}-{row}" for row in range(self._row, self._row + count)], pa.string())
        formulas = batch.columns.column(self.roles.formula) if self.roles.formula else pa.nulls(count, pa.string())
        if batch.crystals is None:
            core = self._of_formulas(ids, formulas, batch.errors)
        else:
            core = self._of_crystals(batch.crystals, ids.to_pylist(), formulas.to_pylist())
        properties = {new: batch.columns.column(old) for old, new in self.roles.properties.items()}
        rows = {
            "source_row": pa.array(np.arange(self._row, self._row + count)),
            "material_id": ids,
            "unread_cells": self._unread_cells(batch.unread, count),
            **core,
            **properties,
        }
        self._row += count
        return _table(rows, self.schema)

    def bad_lines(self, lines: Sequence[BadLine]) -> pa.Table:
        """Return a row for each line of the source that was none; they come after all batches."""
        return _table(
            {
                "source_row": range(self._row, self._row + len(lines)),
                "import_error": [f"line {line.line}: {line.reason}" for line in lines],
            },
            self.schema,
        )

    def _check_ids(self, names: Sequence[str | None], errors: list[str | None]) -> None:
        """Give each id to the first row with it that is a material; write into ``errors`` why another gets none."""
        if not self.roles.id:
            return
        rows = []
        for row, name in enumerate(names):
            if errors[row] is not None:
                continue
            if name is None:
                errors[row] = "no id"
            elif "\0" in name:
                errors[row] = f"id {name!r} holds a zero byte"
            else:
                rows.append(row)
        for place in self._ids.add([names[row] or "" for row in rows]):
            errors[rows[place]] = (
                f"id {names[rows[place]]!r} is there more than once; the first row with it was imported"
            )

    def _unread_cells(self, cells: Sequence[UnreadCell], count: int) -> pa.Array | None:
        """Return what each of some rows holds that was not read; None where there is no such cell."""
        if not cells:
            return None
        found: list[list[dict[str, str]] | None] = [None] * count
        for cell in cells:
            name = self.roles.properties[cell.column]
            text = cell.text[:_LONGEST_TEXT]
            found[cell.row] = [*(found[cell.row] or ()), {"property": name, "text": text}]
            self.unread[name] += 1
            self._first_unread.setdefault(name, f"{text[:_SHOWN_TEXT]!r} in row {self._row + cell.row:,}")
        return pa.array(found, CORE_SCHEMA.field("unread_cells").type)

    def _of_crystals(
        self,
        found: Sequence[Crystal | StructureError],
        names: Sequence[str | None],
        formulas: Sequence[str | None],
    ) -> dict[str, Any]:
        from matlake.materials.overlaps import find_overlaps

        mixed = {row: one for row, one in enumerate(found) if isinstance(one, DisorderedError)}
        errors = [
            str(one) if isinstance(one, StructureError) and row not in mixed else None for row, one in enumerate(found)
        ]
        good = {row: one for row, one in enumerate(found) if isinstance(one, Crystal)}
        rows = list(good)
        columns = CrystalColumns.of(list(good.values()))
        for overlap in find_overlaps(columns):
            errors[rows[overlap.crystal]] = overlap.describe(columns)
        self._check_ids(names, errors)
        good = {row: one for row, one in good.items() if errors[row] is None}
        mixed = {row: one for row, one in mixed.items() if errors[row] is None}
        self._count_disordered(mixed, names)
        whole: dict[int, Crystal | DisorderedError] = {**good, **mixed}
        compositions = [whole[row].composition if row in whole else None for row in range(len(found))]
        place = {row: at for at, row in enumerate(rows) if row in good}
        geometry = columns.to_arrow().take(pa.array([place.get(row) for row in range(len(found))], pa.int64()))
        return {
            "formula": [
                given if composition is None else self._formula(name, given, composition)
                for name, given, composition in zip(names, formulas, compositions, strict=True)
            ],
            "nsites": [len(good[row].numbers) if row in good else None for row in range(len(found))],
            **_composition_columns(compositions),
            "crystal_hash": [good[row].content_hash if row in good else None for row in range(len(found))],
            "crystal_error": [str(mixed[row]) if row in mixed else None for row in range(len(found))],
            **{name: geometry[name].combine_chunks() for name in COLUMNS.names},
            "import_error": errors,
        }

    def _count_disordered(self, mixed: Mapping[int, DisorderedError], names: Sequence[str | None]) -> None:
        if mixed and not self._disordered:
            row, first = next(iter(mixed.items()))
            self._first_disordered = f"{names[row]}: {first}"
        self._disordered += len(mixed)

    def _of_formulas(self, ids: pa.Array, formulas: pa.Array, unreadable: Mapping[int, str]) -> dict[str, Any]:
        errors: list[str | None] = [None] * len(formulas)
        plain = read_plain_formulas(formulas)
        place = np.full(len(formulas), -1)
        place[plain.rows] = np.arange(len(plain.rows))
        others: list[Composition] = []
        left = np.flatnonzero(place < 0)
        for row, formula in zip(left.tolist(), formulas.take(pa.array(left)).to_pylist(), strict=True):
            try:
                others.append(parse_formula(formula))
                place[row] = len(plain.rows) + len(others) - 1
            except FormulaError as refused:
                errors[row] = unreadable.get(row, refused.reason)
        if self.roles.id:
            self._check_ids(ids.to_pylist(), errors)
        imported = np.array([error is None for error in errors], bool)
        columns = {
            "elements": plain.elements,
            "nelements": plain.nelements,
            "composition_hash": plain.content_hashes,
            "atomic_numbers": plain.atomic_numbers,
            "fractions": plain.fractions,
        }
        taken = pa.array(place, mask=~imported)
        found = {
            name: pa.concat_arrays([columns[name], pa.array(values, columns[name].type)]).take(taken)
            for name, values in _composition_columns(others).items()
        }
        return {"formula": formulas, **found, "import_error": errors}

    def _formula(self, name: str | None, given: str | None, composition: Composition) -> str:
        """Return the formula as given where it is that of the structure."""
        if given is None:
            return composition.reduced_formula
        if composition in readings(given):
            return given
        if not self._mismatches:
            self._first_mismatch = f"{name or ''} has {given!r}, its structure {composition.reduced_formula}"
        self._mismatches += 1
        return composition.reduced_formula


def _composition_columns(compositions: Sequence[Composition | None]) -> dict[str, list[Any]]:
    def column(read: Callable[[Composition], object]) -> list[Any]:
        return [None if composition is None else read(composition) for composition in compositions]

    return {
        "elements": column(lambda composition: composition.elements),
        "nelements": column(lambda composition: len(composition.amounts)),
        "composition_hash": column(lambda composition: composition.content_hash),
        "atomic_numbers": column(lambda composition: [z for z, _ in composition.amounts]),
        "fractions": column(lambda composition: composition.fractions),
    }


def _table(columns: dict[str, Any], schema: pa.Schema) -> pa.Table:
    """Build a table; columns that are not given are null."""
    rows = len(columns["source_row"])
    arrays = [
        values
        if isinstance(values := columns.get(field.name), pa.Array)
        else pa.array(values if values is not None else [None] * rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(arrays, schema=schema)
