"""Import: from a user's table to a dataset of the lake, in one commit.

Rows that are no material (bad formula, double id) stay in the dataset's table with the reason in
``import_error``; the view ``failures`` shows them and ``materials`` does not. So each row of the source is in
exactly one of the two, whenever one looks.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from matlake.errors import FormulaError, SourceError
from matlake.materials.formula import Composition, parse_formula
from matlake.progress import Tracker, untracked
from matlake.store import delta
from matlake.store.lake import Lake
from matlake.store.readers import TableSource, open_source

FORMULA_COLUMNS: Final = ("formula", "composition", "pretty_formula", "formula_pretty", "reduced_formula")
ID_COLUMNS: Final = ("material_id", "id")

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

_TAKEN: Final = frozenset({*CORE_SCHEMA.names, "dataset"})


@dataclass(frozen=True)
class ImportReport:
    """What an import did.

    Attributes:
        dataset: Name of the dataset.
        rows: Materials imported.
        failed: Rows of the source that are no material; they are in ``failures``.
        replaced: Whether the dataset existed before.
        examples: The first few failures: (source row, reason).
        notes: Remarks on columns.
        seconds: Wall time.
    """

    dataset: str
    rows: int
    failed: int
    replaced: bool
    examples: list[tuple[int, str]]
    notes: list[str]
    seconds: float


@dataclass(frozen=True)
class _Columns:
    formula: str
    id: str | None
    properties: dict[str, str]  # name in the source -> name in the dataset


def import_table(
    lake: Lake,
    path: Path,
    dataset: str,
    *,
    formula_column: str | None = None,
    id_column: str | None = None,
    track: Tracker = untracked,
) -> ImportReport:
    """Import a CSV or Parquet table as a dataset, replacing one of the same name.

    Embeddings belong to contents, not to datasets: importing again keeps all of those that still apply.

    Args:
        lake: Where to.
        path: The table.
        dataset: Name of the dataset, which also becomes an SQL view.
        formula_column: Column of formulas; by default ``formula``, ``composition``, … .
        id_column: Column of unique ids; by default ``material_id`` or ``id``, else ``DATASET-ROW`` is made up.
        track: Told the number of rows done.

    Raises:
        SourceError: The file or one of the columns is not there, or no row is a material.
        LakeError: The name cannot be a dataset's, or the commit was refused.
    """
    started = time.monotonic()
    root = lake.dataset(dataset)
    source = open_source(path)
    columns = _choose_columns(source, formula_column, id_column)
    schema = pa.unify_schemas(
        [
            CORE_SCHEMA,
            pa.schema([pa.field(new, source.schema.field(old).type) for old, new in columns.properties.items()]),
        ]
    )
    replaced = dataset in lake.dataset_names()
    parts: list[delta.Part] = []
    failures: list[tuple[int, str]] = []
    failed = total = 0
    for table in _tables(source, columns, dataset, schema):
        errors = [
            (row, error)
            for row, error in zip(table["source_row"].to_pylist(), table["import_error"].to_pylist(), strict=True)
            if error is not None
        ]
        failed += len(errors)
        failures += errors[: 5 - len(failures)]
        total += table.num_rows
        parts.append(delta.write_part(root, table, {}))
        track(total, source.rows)
    if total == failed:
        for part in parts:
            (root / part.path).unlink()
        raise SourceError(
            f"none of the {total:,} rows of {path} is a material; row {failures[0][0]}: {failures[0][1]}",
            f"column {columns.formula!r} was read as formulas; --formula-column names another",
        )
    delta.replace_all(root, schema, parts)
    return ImportReport(
        dataset, total - failed, failed, replaced, failures, source.notes, round(time.monotonic() - started, 3)
    )


def find_formula_column(source: TableSource, named: str | None) -> str:
    """Return the column of formulas: the one named, or the first by a usual name.

    Raises:
        SourceError: There is none, or it does not hold text.
    """
    formula = _column(source, named, FORMULA_COLUMNS)
    if formula is None:
        raise SourceError(
            f"{source.path} has no column of formulas by a usual name; its columns: {', '.join(source.schema.names)}",
            "name it with --formula-column",
        )
    if source.schema.field(formula).type != pa.string():
        raise SourceError(f"column {formula!r} of {source.path} holds {source.schema.field(formula).type}, no formulas")
    return formula


def _choose_columns(source: TableSource, formula_column: str | None, id_column: str | None) -> _Columns:
    names = source.schema.names
    formula = find_formula_column(source, formula_column)
    identifier = _column(source, id_column, ID_COLUMNS)
    properties = {}
    for name in names:
        if name in (formula, identifier):
            continue
        new = name
        while new.lower() in _TAKEN or (new != name and new in names):
            new += "_source"
        if new != name:
            source.notes.append(f"column {name} renamed to {new}: the name belongs to the lake")
        properties[name] = new
    return _Columns(formula, identifier, properties)


def _column(source: TableSource, named: str | None, usual: Sequence[str]) -> str | None:
    names = source.schema.names
    if named is not None:
        if named not in names:
            raise SourceError(f"{source.path} has no column {named!r}", f"its columns: {', '.join(names)}")
        return named
    lower = {name.lower(): name for name in names}
    return next((lower[name] for name in usual if name in lower), None)


def _tables(source: TableSource, columns: _Columns, dataset: str, schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield the dataset's rows batch by batch, then the lines that were no rows."""
    ids: set[str] = set()
    start = 0
    for batch in source.batches():
        rows = batch.num_rows
        formulas = batch.column(columns.formula).to_pylist()
        given = batch.column(columns.id).cast(pa.string()).to_pylist() if columns.id else None
        names = given or [f"{dataset}-{row}" for row in range(start, start + rows)]
        compositions: list[Composition | None] = []
        errors: list[str | None] = []
        for name, formula in zip(names, formulas, strict=True):
            composition, error = _read(name, formula, ids if given else None)
            compositions.append(composition)
            errors.append(error)
        core = {
            "source_row": range(start, start + rows),
            "material_id": names,
            "formula": formulas,
            **_composition_columns(compositions),
            "import_error": errors,
        }
        properties = {new: batch.column(old) for old, new in columns.properties.items()}
        yield _table({**core, **properties}, schema)
        start += rows
    if source.bad_lines:
        yield _table(
            {
                "source_row": range(start, start + len(source.bad_lines)),
                "import_error": [f"line {line.line}: {line.reason}" for line in source.bad_lines],
            },
            schema,
        )


def _read(name: str | None, formula: str | None, ids: set[str] | None) -> tuple[Composition | None, str | None]:
    if ids is not None:
        if name is None:
            return None, "no id"
        if name in ids:
            return None, f"id {name!r} is there more than once; the first row with it was imported"
        ids.add(name)
    try:
        return parse_formula(formula), None
    except FormulaError as error:
        return None, str(error)


def _composition_columns(compositions: list[Composition | None]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {
        "elements": [],
        "nelements": [],
        "composition_hash": [],
        "atomic_numbers": [],
        "fractions": [],
    }
    for composition in compositions:
        if composition is None:
            for values in columns.values():
                values.append(None)
            continue
        total = sum(amount for _, amount in composition.amounts)
        columns["elements"].append(composition.elements)
        columns["nelements"].append(len(composition.amounts))
        columns["composition_hash"].append(composition.content_hash)
        columns["atomic_numbers"].append([z for z, _ in composition.amounts])
        columns["fractions"].append([amount / total for _, amount in composition.amounts])
    return columns


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
