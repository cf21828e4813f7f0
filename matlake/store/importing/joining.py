"""Properties of a table joined to the materials of a dataset, by id, in one commit.

Contents stay as they are, and with them all embeddings. A column that the dataset had is replaced as a whole. Rows of
the table that fit no material become rows of the dataset with the reason, in ``failures``; those of an earlier join of
the same table go.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from matlake.errors import Hint, LakeError, SourceError
from matlake.interrupts import hold
from matlake.progress import SILENT, Progress
from matlake.reports import Report
from matlake.store.importing.importer import EXAMPLES, property_names
from matlake.store.importing.merging import commit_whole, whole_parts
from matlake.store.importing.readers import Source, open_source
from matlake.store.importing.readers.source import FORMULA_COLUMNS, ID_COLUMNS, usual_column
from matlake.store.importing.rows import CORE_SCHEMA, CRYSTAL_SCHEMA
from matlake.store.lake import Lake
from matlake.store.storage.parquet import open_parquet, read_schema, read_table
from matlake.store.tables import delta, writing
from matlake.store.tables.parts import LivePart
from matlake.store.views import UNREAD_CELLS

JOINED_NOTE: Final = "matlake.joined"
"""What the log of a dataset calls the table that was joined to it."""

_NOT_JOINED: Final = "was not joined: "
_OWN: Final = frozenset({*CORE_SCHEMA.names, *CRYSTAL_SCHEMA.names})
_UNREAD: Final = CORE_SCHEMA.field(UNREAD_CELLS)


@dataclass(frozen=True, repr=False)
class JoinReport(Report):
    """What a join did.

    Attributes:
        dataset: Name of the dataset.
        rows: Rows of the table that were joined to a material.
        failed: Rows that were not; they are in ``failures``.
        materials: Materials of the dataset.
        added: Properties that the dataset had not.
        replaced: Properties that it had; materials that the table lacks have no value now.
        examples: Reasons of the first few failures.
        notes: Remarks on columns.
        seconds: Wall time.
        unread_cells: Cells of the table that read as missing because they hold something else than their column.
    """

    dataset: str
    rows: int
    failed: int
    materials: int
    added: list[str]
    replaced: list[str]
    examples: list[str]
    notes: list[str]
    seconds: float
    unread_cells: int

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {name: value for name, value in vars(self).items() if name != "examples"}

    def lines(self) -> list[str]:
        """Return the text for people."""
        matched = f"{self.rows:,} of {self.materials:,} materials"
        lines = [f"joined properties to {matched} of dataset {self.dataset} in {self.seconds:.1f} s"]
        lines += [f"columns added: {', '.join(self.added)}"] if self.added else []
        lines += [f"columns replaced: {', '.join(self.replaced)}"] if self.replaced else []
        if self.failed:
            lines.append(f"{self.failed:,} rows were not joined (see the view failures), such as")
            lines += [f"  {reason}" for reason in self.examples]
        if self.unread_cells:
            lines.append(f"{self.unread_cells:,} cells read as missing (see the view unread_cells)")
        return lines


def join_table(
    lake: Lake, path: Path, dataset: str, *, id_column: str | None = None, progress: Progress = SILENT
) -> JoinReport:
    """Join the properties of a table to a dataset, by id; see ``join_source``.

    Args:
        lake: The lake.
        path: A table, or any other file that can be imported.
        dataset: A dataset of the lake.
        id_column: Column of ids; by default one by a usual name.
        progress: Receives the number of rows of the dataset that are written.

    Raises:
        SourceError: The file or the column is not there, or no id in it is one of the dataset.
        LakeError: There is no such dataset, or it is damaged, or another process wrote to it meanwhile.
    """
    started = time.monotonic()
    lake.check_dataset(dataset)
    source = open_source(path, id_column=id_column)
    return join_source(lake, source, dataset, id_column=id_column, started=started, progress=progress)


def join_source(
    lake: Lake,
    source: Source,
    dataset: str,
    *,
    id_column: str | None = None,
    started: float | None = None,
    progress: Progress = SILENT,
) -> JoinReport:
    """Join the properties of an opened source to a dataset, in one commit.

    Ids are compared as text, as written. Joining the same again changes nothing.

    Args:
        lake: The lake.
        source: A table of ids and properties; structures and formulas in it are left out.
        dataset: A dataset of the lake.
        id_column: Column of ids; by default one by a usual name.
        started: When it began, by ``time.monotonic``; by default now.
        progress: Receives the number of rows of the dataset that are written.

    Raises:
        SourceError: There is no column of ids, no property, or no id is one of the dataset.
        LakeError: There is no such dataset, or it is damaged, or another process wrote to it meanwhile.
    """
    started = time.monotonic() if started is None else started
    lake.check_writable()
    lake.check_dataset(dataset)
    root = lake.dataset(dataset)
    table = delta.open_table(root)
    if table is None:
        raise LakeError(f"there is no dataset {dataset!r} any more", "import it again")
    live = whole_parts(lake, dataset, table)
    stored = pa.unify_schemas([read_schema(part.path).remove_metadata() for part in live], promote_options="default")
    given = _read(source, _id_column(source, id_column), {name.lower(): name for name in stored.names})
    materials = _material_ids(live)
    failures = _failures(given, materials)
    matched = [row for row in range(len(given.ids)) if row not in failures]
    if not matched:
        first = next(iter(failures.values()), "")
        raise SourceError(
            f"no row of {source.name} has the id of a material of dataset {dataset!r}: {first}",
            Hint("name the column of ids with id", cli="name the column of ids with --id-column"),
        )
    join = _Join(given.take(matched), stored, f" of {source.name} {_NOT_JOINED}")
    rejected = [(given.ids[row], f"row {row}{join.mark}{why}") for row, why in failures.items()]
    rejected += [(None, f"line {bad.line}{join.mark}{bad.reason}") for bad in source.bad_lines]
    written: list[writing.Part] = []
    try:
        for part in live:
            written.append(writing.write_stream(root, join.schema, join.joined(part), {}))
            progress.track(sum(one.rows for one in written), sum(one.rows for one in live))
        if rejected:
            written.append(writing.write_part(root, join.rejected(rejected, _next_row(live, join.mark)), {}))
        hold()
    except BaseException:
        writing.discard(root, written)
        raise
    commit_whole(root, table, [part for part in written if part.rows], join.schema, {JOINED_NOTE: source.name})
    old = {name for name in stored.names if name not in _OWN}
    return JoinReport(
        dataset,
        rows=len(matched),
        failed=len(rejected),
        materials=len(materials),
        added=[name for name in join.given.columns.column_names if name not in old],
        replaced=[name for name in join.given.columns.column_names if name in old],
        examples=[reason for _, reason in rejected[:EXAMPLES]],
        notes=[*source.notes, *_changed_types(stored, join.schema)],
        seconds=round(time.monotonic() - started, 3),
        unread_cells=sum(map(len, join.given.unread.values())),
    )


@dataclass(frozen=True)
class _Given:
    """Rows of the table.

    Attributes:
        ids: Of each row, as written; None where there is none.
        columns: The properties, under the names that they have in the dataset.
        unread: Row -> its cells that hold something else than their column: property and text.
    """

    ids: list[str | None]
    columns: pa.Table
    unread: Mapping[int, list[dict[str, str]]]

    def take(self, rows: Sequence[int]) -> "_Given":
        """Return some of the rows, in the order given."""
        unread = {place: self.unread[row] for place, row in enumerate(rows) if row in self.unread}
        return _Given([self.ids[row] for row in rows], self.columns.take(pa.array(rows, pa.int64())), unread)


def _read(source: Source, identifier: str, known: Mapping[str, str]) -> _Given:
    formula = usual_column(source.schema.names, FORMULA_COLUMNS)
    left_out = [name for name in (identifier, formula) if name is not None]
    if formula is not None:
        source.notes.append(f"column {formula} left out: the formula is that of the dataset")
    names = property_names(source, left_out)
    if not names:
        raise SourceError(f"{source.name} has no properties beside {', '.join(left_out)}")
    shown = {old: known.get(new.lower(), new) for old, new in names.items()}
    ids: list[str | None] = []
    batches: list[pa.RecordBatch] = []
    unread: dict[int, list[dict[str, str]]] = {}
    for batch in source.batches():
        for cell in batch.unread:
            if cell.column in shown:
                found = {"property": shown[cell.column], "text": cell.text}
                unread.setdefault(len(ids) + cell.row, []).append(found)
        ids += batch.columns.column(identifier).to_pylist()
        columns = [batch.columns.column(old) for old in shown]
        batches.append(pa.RecordBatch.from_arrays(columns, names=list(shown.values())))
    return _Given(ids, pa.Table.from_batches(batches), unread)


def _id_column(source: Source, named: str | None) -> str:
    names = source.schema.names
    identifier = named or usual_column(names, ID_COLUMNS)
    if identifier is None or identifier not in names:
        raise SourceError(
            f"{source.name} has no column {named!r}"
            if named
            else f"{source.name} has no column of ids by a usual name",
            Hint(
                f"name it with id; its columns: {', '.join(names)}",
                cli=f"name it with --id-column; its columns: {', '.join(names)}",
            ),
        )
    return identifier


def _material_ids(live: Sequence[LivePart]) -> frozenset[str]:
    found: set[str] = set()
    for part in live:
        rows = read_table(part.path, ["material_id", "import_error"])
        found.update(rows.filter(pc.is_null(rows["import_error"]))["material_id"].to_pylist())
    return frozenset(found)


def _failures(given: _Given, materials: frozenset[str]) -> dict[int, str]:
    """Return why rows of the table are not joined."""
    failures: dict[int, str] = {}
    seen: set[str] = set()
    for row, identifier in enumerate(given.ids):
        if identifier is None:
            failures[row] = "it has no id"
        elif identifier not in materials:
            failures[row] = f"the dataset has no id {identifier!r}"
        elif identifier in seen:
            failures[row] = f"id {identifier!r} is there more than once; the first row with it was joined"
        else:
            seen.add(identifier)
    return failures


def _next_row(live: Sequence[LivePart], mark: str) -> int:
    """Return the place behind all rows but those that an earlier join of the same table left."""
    last = -1
    for part in live:
        rows = read_table(part.path, ["source_row", "import_error"])
        stays = pc.invert(pc.match_substring(rows["import_error"], mark))
        found = pc.max(rows.filter(pc.fill_null(stays, fill_value=True))["source_row"])
        last = max(last, found.as_py() if found.is_valid else -1)
    return last + 1


@dataclass(frozen=True)
class _Join:
    """Puts properties beside the rows of a dataset.

    Attributes:
        given: Rows of the table that have the id of a material, each once.
        stored: The columns of the dataset.
        mark: What the reasons of rows say that an earlier join of the same table left.
    """

    given: _Given
    stored: pa.Schema
    mark: str

    @property
    def schema(self) -> pa.Schema:
        """The columns of the dataset with the properties."""
        new = {field.name: field for field in self.given.columns.schema}
        fields = [new.get(field.name, field) for field in self.stored]
        fields += [field for name, field in new.items() if name not in self.stored.names]
        return pa.schema(fields if UNREAD_CELLS in self.stored.names else [*fields, _UNREAD])

    def joined(self, part: LivePart) -> Iterator[pa.Table]:
        """Yield the rows of a part with the properties."""
        ids = pa.array(self.given.ids, pa.string())
        with open_parquet(part.path) as file:
            for batch in file.iter_batches():
                rows = pa.Table.from_batches([batch])
                stays = pc.invert(pc.match_substring(rows["import_error"], self.mark))
                rows = rows.filter(pc.fill_null(stays, fill_value=True))
                found = pc.index_in(rows["material_id"], value_set=ids, skip_nulls=True)
                found = pc.if_else(pc.is_null(rows["import_error"]), found, pa.scalar(None, pa.int32()))
                yield self._with_properties(rows, found)

    def _with_properties(self, rows: pa.Table, found: pa.ChunkedArray) -> pa.Table:
        properties = self.given.columns.take(found)
        arrays = []
        for field in self.schema:
            if field.name == UNREAD_CELLS:
                arrays.append(self._unread(rows, found))
            elif field.name in properties.column_names:
                arrays.append(properties[field.name])
            elif field.name in rows.column_names:
                arrays.append(rows[field.name].cast(field.type))
            else:
                arrays.append(pa.nulls(rows.num_rows, field.type))
        return pa.Table.from_arrays(arrays, schema=self.schema)

    def _unread(self, rows: pa.Table, found: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
        """Return the cells that were not read: those of the table, and those of properties that stay."""
        has_old = UNREAD_CELLS in rows.column_names and rows[UNREAD_CELLS].null_count < rows.num_rows
        if not has_old and not self.given.unread:
            return pa.nulls(rows.num_rows, _UNREAD.type)
        old = rows[UNREAD_CELLS].to_pylist() if has_old else [None] * rows.num_rows
        names = self.given.columns.column_names
        cells = [
            [cell for cell in before or () if cell["property"] not in names] + self.given.unread.get(place, [])
            for before, place in zip(old, found.to_pylist(), strict=True)
        ]
        return pa.array([some or None for some in cells], _UNREAD.type)

    def rejected(self, rows: Sequence[tuple[str | None, str]], first: int) -> pa.Table:
        """Return a row of the dataset for each row of the table that was not joined: its id, and the reason."""
        columns = {
            "source_row": pa.array(range(first, first + len(rows)), pa.int64()),
            "material_id": pa.array([identifier for identifier, _ in rows], pa.string()),
            "import_error": pa.array([reason for _, reason in rows], pa.string()),
        }
        arrays = [columns.get(field.name, pa.nulls(len(rows), field.type)) for field in self.schema]
        return pa.Table.from_arrays(arrays, schema=self.schema)


def _changed_types(before: pa.Schema, after: pa.Schema) -> list[str]:
    return [
        f"column {field.name} holds {field.type} now, {before.field(field.name).type} before"
        for field in after
        if field.name in before.names and before.field(field.name).type != field.type
    ]
