"""Import: from a user's table or structure files to a dataset of the lake, in one commit.

Rows that are not valid materials (bad formula, broken structure, double id) stay in the dataset's table with the
reason in ``import_error``; the view ``failures`` shows them and ``materials`` does not. So each row of the source is
in exactly one of the two, whenever one looks.
"""

import json
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import pyarrow as pa
import pyarrow.compute as pc

from matlake.errors import Hint, SourceError
from matlake.interrupts import hold
from matlake.materials.crystal import MAX_ATOMS
from matlake.progress import SILENT, Progress
from matlake.reports import Report
from matlake.store.datasets import COLUMNS_NOTE, SOURCE_NOTE, DatasetSummary, read_summary
from matlake.store.importing.merging import Update, merge_rows
from matlake.store.importing.readers import Source, open_source
from matlake.store.importing.readers.csv_layout import looks_like_data
from matlake.store.importing.readers.source import (
    FORMULA_COLUMNS,
    ID_COLUMNS,
    SPELLED_FORMULA_COLUMNS,
    usual_column,
)
from matlake.store.importing.rows import CORE_SCHEMA, CRYSTAL_SCHEMA, ColumnRoles, RowBuilder
from matlake.store.lake import Lake
from matlake.store.storage.places import LakePath
from matlake.store.tables import delta, writing

EXAMPLES: Final = 5  # failures that a report shows
_HEADER_SHOWN: Final = 80
_TAKEN: Final = frozenset(name.lower() for name in (*CORE_SCHEMA.names, *CRYSTAL_SCHEMA.names, "dataset", "row_hash"))


@dataclass(frozen=True)
class Replacement:
    """What an import replaced.

    Attributes:
        imported: When the dataset had been imported, in UTC; None where its log does not tell.
        rows: Materials that it had.
        failed: Rows that it had in ``failures``.
        columns_lost: Properties that it had and has no longer.
        columns_gained: Properties that it has now and had not.
    """

    imported: str | None
    rows: int
    failed: int
    columns_lost: list[str]
    columns_gained: list[str]

    @classmethod
    def of(cls, before: DatasetSummary, properties: Collection[str]) -> Self:
        """Compare a dataset with the properties that it has now."""
        lost = [name for name in before.properties if name not in properties]
        gained = [name for name in properties if name not in before.properties]
        return cls(before.imported_text, before.materials, before.failures, lost, gained)

    def line(self) -> str:
        """Return the text for people."""
        parts = [f"it had {self.rows:,} materials{f', imported {self.imported}' if self.imported else ''}"]
        parts += [f"columns lost: {', '.join(self.columns_lost)}"] if self.columns_lost else []
        parts += [f"columns gained: {', '.join(self.columns_gained)}"] if self.columns_gained else []
        return "; ".join(parts)


@dataclass(frozen=True, repr=False)
class ImportReport(Report):
    """What an import did.

    Attributes:
        dataset: Name of the dataset.
        rows: Materials imported.
        failed: Rows of the source that are not valid materials; they are in ``failures``.
        replaced: Whether the dataset existed before.
        replacement: What was replaced; None for a new dataset, and for one that could not be read.
        examples: The first few failures: (source row, reason).
        notes: Remarks on columns.
        seconds: Wall time.
        unread_cells: Cells that read as missing because they hold something else than their column; the view
            ``unread_cells`` lists them.
        update: What became of the rows of a dataset that was updated, not replaced; None for one that was.
    """

    dataset: str
    rows: int
    failed: int
    replaced: bool
    replacement: Replacement | None
    examples: list[tuple[int, str]]
    notes: list[str]
    seconds: float
    unread_cells: int
    update: Update | None = None

    def document(self) -> dict[str, Any]:
        """Return the JSON document of the contract."""
        document = {name: value for name, value in vars(self).items() if name != "examples"}
        nested = {"replacement": self.replacement, "update": self.update}
        return document | {name: None if part is None else vars(part) for name, part in nested.items()}

    def shown(self) -> list[str]:
        """Return the text with the remarks, which the command line prints beside it."""
        return [*self.lines(), *(f"note: {note}" for note in self.notes)]

    def lines(self) -> list[str]:
        """Return the text for people."""
        done = "replaced" if self.replaced else "imported"
        lines = [f"{done} dataset {self.dataset}: {self.rows:,} materials in {self.seconds:.1f} s"]
        if self.update:
            lines = [f"updated dataset {self.dataset} with {self.rows:,} materials in {self.seconds:.1f} s"]
        lines += [part.line() for part in (self.update, self.replacement) if part]
        if self.failed:
            lines.append(f"{self.failed:,} rows are not valid materials (see the view failures), such as")
            lines += [f"  row {row}: {reason}" for row, reason in self.examples]
        if self.unread_cells:
            lines.append(f"{self.unread_cells:,} cells read as missing (see the notes and the view unread_cells)")
        return lines


@dataclass
class _Written:
    """Parts written so far, which no commit names yet."""

    root: LakePath
    parts: list[writing.Part] = field(default_factory=list)
    rows: int = 0
    failed: int = 0
    examples: list[tuple[int, str]] = field(default_factory=list)

    def add(self, table: pa.Table) -> None:
        errors = table.filter(pc.is_valid(table["import_error"])).select(["source_row", "import_error"])
        for failure in errors.slice(0, EXAMPLES - len(self.examples)).to_pylist():
            self.examples.append((failure["source_row"], failure["import_error"]))
        self.failed += errors.num_rows
        self.rows += table.num_rows
        self.parts.append(writing.write_part(self.root, table, {}))

    def discard(self) -> None:
        for part in self.parts:
            (self.root / part.path).unlink(missing_ok=True)


def import_table(
    lake: Lake,
    path: Path,
    dataset: str,
    *,
    formula_column: str | None = None,
    structure_column: str | None = None,
    id_column: str | None = None,
    max_atoms: int = MAX_ATOMS,
    progress: Progress = SILENT,
) -> ImportReport:
    """Import a table or structure files as a dataset, replacing one of the same name.

    Embeddings belong to contents, not to datasets: importing again keeps all of those that still apply.

    Args:
        lake: Where to.
        path: CSV or Parquet table of formulas or structures; CIF or POSCAR file, folder or archive of them; JSON;
            extended XYZ; ASE database.
        dataset: Name of the dataset, which also becomes an SQL view.
        formula_column: Column of formulas; by default ``formula``, ``composition``, … . Structures need none.
        structure_column: Column of structures; by default ``structure``, ``cif``, ``poscar``, … .
        id_column: Column of unique ids; by default ``material_id`` or ``id``, else ``DATASET-ROW`` is made up.
        max_atoms: Cells with more atoms become failures.
        progress: Receives the number of rows done.

    Raises:
        SourceError: The source or one of the columns is not there, or no row is a material.
        LakeError: The name cannot be a dataset's, or the commit was refused.
    """
    started = time.monotonic()
    lake.check_new_dataset(dataset)
    source = open_source(
        path,
        structure_column=structure_column,
        formula_column=formula_column,
        id_column=id_column,
        max_atoms=max_atoms,
    )
    return import_source(
        lake,
        source,
        dataset,
        formula_column=formula_column,
        id_column=id_column,
        started=started,
        progress=progress,
    )


def import_source(
    lake: Lake,
    source: Source,
    dataset: str,
    *,
    formula_column: str | None = None,
    id_column: str | None = None,
    started: float | None = None,
    progress: Progress = SILENT,
    notes: Mapping[str, str] | None = None,
    update: Collection[str] | None = None,
) -> ImportReport:
    """Import an opened source as a dataset, in one commit, replacing one of the same name or updating it.

    Args:
        lake: Where to.
        source: What to import.
        dataset: Name of the dataset.
        formula_column: Column of formulas; by default one by a usual name.
        id_column: Column of unique ids, likewise.
        started: When the import began, by ``time.monotonic``; by default now.
        progress: Receives the number of rows done.
        notes: What the log keeps of the commit besides.
        update: Merge the rows by id into the dataset, which is there: the properties that the source has brought to it
            before. The report is of the rows that came. None replaces.

    Raises:
        SourceError: One of the columns is not there, or no row is a material.
        LakeError: The name cannot be a dataset's, or the commit was refused.
    """
    started = time.monotonic() if started is None else started
    root = lake.dataset(dataset)
    lake.check_new_dataset(dataset)
    roles = _choose_columns(source, formula_column, id_column)
    builder = RowBuilder(dataset, roles, _schema(source, roles))
    replaced, before = dataset in lake.dataset_names(), read_summary(lake, dataset)
    written = _Written(root)
    try:
        for table in _tables(source, builder):
            written.add(table)
            progress.track(written.rows, max(written.rows, source.rows))
    except BaseException:
        written.discard()
        raise
    if written.rows == written.failed and update is None:
        written.discard()
        raise _nothing(source, roles, written)
    own = sorted({*roles.properties.values(), *(update or ())})
    remembered = {} if notes is None else {**notes, COLUMNS_NOTE: json.dumps(own)}
    noted = {SOURCE_NOTE: source.name, **remembered}
    merged = None
    if update is not None:
        merged = merge_rows(lake, dataset, builder.schema, written.parts, noted, own)
    else:
        hold()
        delta.replace_all(root, builder.schema, written.parts, noted)
    return ImportReport(
        dataset,
        rows=written.rows - written.failed,
        failed=written.failed,
        replaced=replaced,
        replacement=None if before is None or merged else Replacement.of(before, list(roles.properties.values())),
        examples=written.examples,
        notes=source.notes + builder.notes(),
        seconds=round(time.monotonic() - started, 3),
        unread_cells=builder.unread.total(),
        update=merged,
    )


def find_formula_column(source: Source, named: str | None) -> str:
    """Return the column of formulas: the one named, or the first by a usual name.

    Raises:
        SourceError: There is none, or it does not hold text.
    """
    formula = _column(source, named, FORMULA_COLUMNS)
    if formula is None and looks_like_data(source.schema.names):
        raise SourceError(
            f"the first line of {source.name} is not a header: {', '.join(source.schema.names)[:_HEADER_SHOWN]}",
            "add a line with the names of the columns, such as formula,band_gap_eV",
        )
    if formula is None:
        raise SourceError(
            f"{source.name} has no column of formulas by a usual name; its columns: {', '.join(source.schema.names)}",
            Hint(
                "name it with formula (of import_table: formula_column), or a column of structures with structure",
                cli="name it with --formula-column, or a column of structures with --structure-column",
            ),
        )
    if source.schema.field(formula).type != pa.string():
        raise SourceError(f"column {formula!r} of {source.name} holds {source.schema.field(formula).type}, no formulas")
    return formula


def _choose_columns(source: Source, formula_column: str | None, id_column: str | None) -> ColumnRoles:
    formula = None
    if formula_column is not None or not source.has_structures:
        formula = find_formula_column(source, formula_column)
    else:
        usual = _column(source, None, SPELLED_FORMULA_COLUMNS)
        if usual is not None and source.schema.field(usual).type == pa.string():
            formula = usual
    identifier = _column(source, id_column, ID_COLUMNS)
    return ColumnRoles(formula, identifier, property_names(source, (formula, identifier)))


def property_names(source: Source, others: Collection[str | None]) -> dict[str, str]:
    """Return the name that each property of a source gets in a dataset: its own, unless that belongs to the lake.

    Args:
        source: It gets a remark on each that is renamed.
        others: Columns of formulas and ids.
    """
    properties = {}
    present = {name.lower() for name in source.schema.names}
    for name in source.schema.names:
        if name in others:
            continue
        new = name
        while new.lower() in _TAKEN or (new != name and new.lower() in present):
            new += "_source"
        if new != name:
            source.notes.append(f"column {name} renamed to {new}: the name belongs to the lake")
        properties[name] = new
    return properties


def _column(source: Source, named: str | None, usual: Sequence[str]) -> str | None:
    names = source.schema.names
    if named is not None:
        if named not in names:
            raise SourceError(f"{source.name} has no column {named!r}", f"its columns: {', '.join(names)}")
        return named
    return usual_column(names, usual)


def _schema(source: Source, roles: ColumnRoles) -> pa.Schema:
    properties = [pa.field(new, source.schema.field(old).type) for old, new in roles.properties.items()]
    return pa.schema([*CORE_SCHEMA, *(CRYSTAL_SCHEMA if source.has_structures else ()), *properties])


def _tables(source: Source, builder: RowBuilder) -> Iterator[pa.Table]:
    """Yield the dataset's rows batch by batch, then the lines that were no rows."""
    for batch in source.batches():
        yield builder.rows(batch)
    if source.bad_lines:
        yield builder.bad_lines(source.bad_lines)


def _nothing(source: Source, roles: ColumnRoles, written: _Written) -> SourceError:
    first = "; row {}: {}".format(*written.examples[0]) if written.examples else ""
    hint = "each row must hold the structure of a crystal"
    if not source.has_structures:
        read = f"column {roles.formula!r} was read as formulas"
        hint = Hint(
            f"{read}; formula (of import_table: formula_column) names another",
            cli=f"{read}; --formula-column names another",
        )
    return SourceError(f"none of the {written.rows:,} rows of {source.name} is a material{first}", hint)
