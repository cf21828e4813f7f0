"""From a batch of a source to rows of a dataset: materials, and rows that are none with the reason."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from matlake.errors import FormulaError, StructureError
from matlake.materials.crystal import COLUMNS, Crystal, CrystalColumns
from matlake.materials.formula import Composition, parse_formula, readings
from matlake.store.importing.readers import BadLine, Batch

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
    ]
)
"""Columns of every dataset; ``fractions`` are those of the elements in ``atomic_numbers`` and sum to one."""

CRYSTAL_SCHEMA: Final = pa.schema([("crystal_hash", pa.string()), *COLUMNS])
"""Further columns of a dataset of crystals."""


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
    """

    dataset: str
    roles: ColumnRoles
    schema: pa.Schema
    _mismatches: int = 0
    _first_mismatch: str = ""
    _ids: set[str] = field(default_factory=set)
    _row: int = 0

    def notes(self) -> list[str]:
        """Return a remark on the rows whose formula column says something else than their structure."""
        if not self._mismatches:
            return []
        taken = "rows have a formula that is not their structure's; the structure's was taken"
        return [f"{self._mismatches:,} {taken}: {self._first_mismatch}"]

    def rows(self, batch: Batch) -> pa.Table:
        """Return the rows of a batch."""
        count = batch.columns.num_rows if batch.crystals is None else len(batch.crystals)
        given = batch.columns.column(self.roles.id).cast(pa.string()).to_pylist() if self.roles.id else None
        names = given or [f"{self.dataset}-{row}" for row in range(self._row, self._row + count)]
        id_errors = self._check_ids(given) if given else [None] * count
        formulas = batch.columns.column(self.roles.formula).to_pylist() if self.roles.formula else [None] * count
        if batch.crystals is None:
            core = _of_formulas(formulas, id_errors)
        else:
            core = self._of_crystals(batch.crystals, names, formulas, id_errors)
        properties = {new: batch.columns.column(old) for old, new in self.roles.properties.items()}
        rows = {"source_row": range(self._row, self._row + count), "material_id": names, **core, **properties}
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

    def _check_ids(self, given: list[str | None]) -> list[str | None]:
        errors: list[str | None] = []
        for name in given:
            if name is None:
                errors.append("no id")
            elif name in self._ids:
                errors.append(f"id {name!r} is there more than once; the first row with it was imported")
            else:
                errors.append(None)
                self._ids.add(name)
        return errors

    def _of_crystals(
        self,
        found: Sequence[Crystal | StructureError],
        names: Sequence[str | None],
        formulas: Sequence[str | None],
        id_errors: Sequence[str | None],
    ) -> dict[str, Any]:
        from matlake.materials.overlaps import find_overlaps

        errors = [
            str(one) if isinstance(one, StructureError) else error for one, error in zip(found, id_errors, strict=True)
        ]
        good = {row: one for row, one in enumerate(found) if errors[row] is None and isinstance(one, Crystal)}
        rows = list(good)
        columns = CrystalColumns.of(list(good.values()))
        for overlap in find_overlaps(columns):
            errors[rows[overlap.crystal]] = overlap.describe(columns)
            del good[rows[overlap.crystal]]
        compositions = [good[row].composition if row in good else None for row in range(len(found))]
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
            **{name: geometry[name].combine_chunks() for name in COLUMNS.names},
            "import_error": errors,
        }

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


def _of_formulas(formulas: Sequence[str | None], id_errors: Sequence[str | None]) -> dict[str, Any]:
    compositions: list[Composition | None] = [None] * len(formulas)
    errors = list(id_errors)
    for row, formula in enumerate(formulas):
        if errors[row] is None:
            try:
                compositions[row] = parse_formula(formula)
            except FormulaError as refused:
                errors[row] = refused.reason
    return {"formula": formulas, **_composition_columns(compositions), "import_error": errors}


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
