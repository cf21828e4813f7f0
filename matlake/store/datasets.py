"""The datasets of a lake: list, show, delete, rename and export them."""

import json
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
from deltalake import DeltaTable

from matlake.errors import REPAIR, Hint, LakeError, MatlakeError
from matlake.files import fsync_folder
from matlake.materials.structure_files.poscar_writer import poscar_text
from matlake.materials.units import unit_of
from matlake.platforms import rename
from matlake.reports import TableReport, rows_to_arrow
from matlake.store.column_names import GEOMETRY_COLUMNS
from matlake.store.damage import reads_what_is_sound
from matlake.store.folders import DATASET_DELETED, LakeFolders
from matlake.store.quoting import dataset_rows, identifier
from matlake.store.row_counts import count_dataset
from matlake.store.snapshots import open_table_of
from matlake.store.sql import connect
from matlake.store.storage.remote_path import RemotePath
from matlake.store.table_files import table_format, write_tables
from matlake.store.tables.bucket_tables import delete_table, move_table
from matlake.store.tables.commit_outcomes import asking_delta
from matlake.store.tables.parts import without_warnings
from matlake.store.views import ReadableDataset, readable_datasets, view_names
from matlake.text_tables import Column, Line, TextTable

SOURCE_NOTE: Final = "matlake.source"
"""What the log of a dataset calls the file or folder that it was imported from."""

REMEMBERED_NOTE: Final = "matlake.remembered"
"""What it calls the JSON document of version, licence and marks of the source by name that it came from."""

COLUMNS_NOTE: Final = "matlake.columns"
"""What it calls the JSON list of properties that such a source has brought."""

_IMPORTS: Final = frozenset({"CREATE OR REPLACE TABLE", "CREATE TABLE", "WRITE"})
_ORDERED: Final = re.compile(r"U?(?:TINY|SMALL|BIG|HUGE)?INT(?:EGER)?|FLOAT|DOUBLE|DECIMAL\(.*\)|DATE|TIME.*")
_WITH_NAN: Final = ("FLOAT", "DOUBLE")
_BATCH_ROWS: Final = 10_000


@dataclass(frozen=True)
class DatasetSummary:
    """A dataset at a glance.

    Attributes:
        name: Its name.
        view: Its view in SQL, which has another name where an older dataset differs in capitals alone.
        materials: Number of materials.
        failures: Rows of the source that are not materials.
        crystals: Materials with a crystal structure; the others are compositions.
        properties: Names of the property columns.
        imported: When it was imported, in UTC; None where the log does not tell.
        source: The file, folder or source by name it was imported from; None for imports of 0.1.0, which did not
            record it.
        version: Version or date of a source by name; None for others.
        licence: Licence of a source by name that states one; None for others.
        table_version: Version of its table, for ``as_of``; each import and compaction makes one.
    """

    name: str
    view: str
    materials: int
    failures: int
    crystals: int
    properties: list[str]
    imported: datetime | None
    source: str | None
    version: str | None = None
    licence: str | None = None
    table_version: int | None = None

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        imported = None if self.imported is None else self.imported.isoformat(timespec="seconds")
        return {**vars(self), "imported": imported}

    @property
    def imported_text(self) -> str | None:
        """When it was imported, for people."""
        return None if self.imported is None else f"{self.imported:%Y-%m-%d %H:%M} UTC"


@dataclass(frozen=True)
class PropertyColumn:
    """A property column of a dataset.

    Attributes:
        name: Its name.
        type: Its type in SQL.
        unit: The unit that its name states; ``""`` where it states none.
        nulls: Materials without a value.
        minimum: Smallest value of numbers and times; None for other types.
        maximum: Largest value.
    """

    name: str
    type: str
    unit: str
    nulls: int
    minimum: Any
    maximum: Any


@dataclass(frozen=True, repr=False)
class DatasetDetails(TableReport):
    """A dataset with its columns.

    Attributes:
        summary: The dataset at a glance.
        columns: Its property columns.
    """

    summary: DatasetSummary
    columns: list[PropertyColumn]

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {**self.summary.document(), "columns": [dict(vars(column)) for column in self.columns]}

    def lines(self) -> list[Line]:
        """Return the text for people."""
        found = self.summary
        rows = [(c.name, c.type, c.unit or None, c.nulls, _shown(c.minimum), _shown(c.maximum)) for c in self.columns]
        headings = (
            *(Column(name) for name in ("property", "type", "unit")),
            *(Column(name, "right", ",") for name in ("nulls",)),
            *(Column(name, "right") for name in ("min", "max")),
        )
        return [
            f"{found.name}: {found.materials:,} materials ({found.crystals:,} crystals), {found.failures:,} failures",
            f"imported: {found.imported_text or 'not known'}, from {found.source or 'a source that was not recorded'}",
            *([f"version: {found.version}, licence: {found.licence or 'not stated'}"] if found.version else []),
            f"version of the table, for --as-of: {found.name}={found.table_version}",
            *([f"view in SQL: {identifier(found.view)}"] if found.view != found.name else []),
            *(["", TextTable(headings, rows)] if rows else ["no properties"]),
        ]

    def to_arrow(self) -> pa.Table:
        """Return the property columns: name, type, unit, missing values, and ends of the range as text."""
        rows = [replace(c, minimum=_shown(c.minimum), maximum=_shown(c.maximum)) for c in self.columns]
        return rows_to_arrow(PropertyColumn, rows)


@reads_what_is_sound
def list_datasets(lake: LakeFolders) -> list[DatasetSummary]:
    """Return all datasets that can be read, in order of name."""
    return [_summary(lake, dataset, view) for dataset, view in _with_views(lake)]


def _with_views(lake: LakeFolders) -> list[tuple[ReadableDataset, str]]:
    datasets = list(readable_datasets(lake))
    views = view_names([dataset.name for dataset in datasets])
    return [(dataset, views[dataset.name]) for dataset in datasets]


def _find_summary(lake: LakeFolders, name: str) -> DatasetSummary:
    """Return a dataset at a glance.

    Raises:
        LakeError: It cannot be read.
    """
    for dataset, view in _with_views(lake):
        if dataset.name == name:
            return _summary(lake, dataset, view)
    raise LakeError(f"dataset {name!r} cannot be read", REPAIR)


def dataset_table(datasets: Sequence[DatasetSummary]) -> TextTable:
    """Return datasets as a table for people."""
    headings = (
        Column("dataset"),
        *(Column(name, "right", ",") for name in ("materials", "crystals", "failures")),
        Column("imported"),
        Column("properties"),
    )
    rows = [
        (d.name, d.materials, d.crystals, d.failures, d.imported_text, ", ".join(d.properties) or None)
        for d in datasets
    ]
    return TextTable(headings, rows)


@reads_what_is_sound
def show_dataset(lake: LakeFolders, name: str) -> DatasetDetails:
    """Return a dataset with its property columns: type, unit, missing values, smallest and largest value.

    Raises:
        LakeError: There is no such dataset.
    """
    lake.check_dataset(name)
    summary = _find_summary(lake, name)
    with connect(lake, {summary.view.lower()}) as connection:
        kinds = connection.sql(f"SELECT * FROM main.{identifier(summary.view)} LIMIT 0")
        types = {column: str(kind) for column, kind in zip(kinds.columns, kinds.types, strict=True)}
        return DatasetDetails(summary, [_column(connection, summary.view, p, types[p]) for p in summary.properties])


def delete_dataset(lake: LakeFolders, name: str) -> None:
    """Delete a dataset. Embeddings belong to contents and stay, as do heads.

    Its folder first gets a name that no dataset can have: whenever the deletion is killed, the dataset is there or not.
    So it is in a bucket, see ``bucket_tables``.

    Raises:
        LakeError: There is no such dataset, or its folder cannot be renamed.
    """
    lake.check_writable()
    lake.check_dataset(name)
    folder = lake.datasets_folder
    if isinstance(folder, RemotePath):
        delete_table(folder / name)
        return
    for left in folder.glob(f"{DATASET_DELETED}*"):
        shutil.rmtree(left, ignore_errors=True)
    hidden = folder / f"{DATASET_DELETED}{name}-{uuid.uuid4().hex}"
    _move(folder / name, hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def rename_dataset(lake: LakeFolders, name: str, new_name: str) -> None:
    """Rename a dataset, in one step. Ids that were made from its former name stay as they are.

    In a bucket it is copied, then deleted: a kill in between leaves it under both names.

    Raises:
        LakeError: There is no such dataset, the new name is taken or cannot be a dataset's.
    """
    lake.check_writable()
    lake.check_dataset(name)
    if new_name.lower() != name.lower():
        lake.check_new_dataset(new_name)
    taken = [other for other in lake.dataset_names() if other != name and other.lower() == new_name.lower()]
    if taken or new_name == name:
        raise LakeError(f"there is a dataset {(taken or [name])[0]!r} already", "choose another name")
    folder = lake.datasets_folder
    if isinstance(folder, RemotePath):
        move_table(folder / name, folder / new_name)
    else:
        _move(folder / name, folder / new_name)


@reads_what_is_sound
def export_dataset(lake: LakeFolders, name: str, path: Path, *, structures: bool = False) -> int:
    """Write the materials of a dataset to a table, in the order of their source. Memory use does not grow with it.

    Args:
        lake: The lake.
        name: Name of the dataset.
        path: The file; its ending says the format, see ``table_files.ENDINGS``.
        structures: Add the column ``poscar``, which ``import`` reads: the crystal as text, null where there is none.

    Returns:
        The number of materials.

    Raises:
        LakeError: There is no such dataset, it has no structures, or the file would be in the lake.
        SourceError: The ending is not known.
    """
    lake.check_dataset(name)
    table_format(path)
    lake.check_output(path)
    summary = _find_summary(lake, name)
    with connect(lake, {summary.view.lower()}) as connection:
        if structures and not summary.crystals:
            raise LakeError(
                f"dataset {name!r} has no crystal structures",
                Hint("leave out structures", cli="leave out --structures"),
            )
        columns = ["material_id", "formula", "elements", "nelements", "nsites", *summary.properties]
        shown = ", ".join(map(identifier, [*columns, *(GEOMETRY_COLUMNS if structures else ())]))
        reader = connection.sql(
            f"SELECT {shown} FROM {dataset_rows(name)} WHERE import_error IS NULL ORDER BY source_row"
        ).to_arrow_reader(_BATCH_ROWS)
        schema = pa.schema([reader.schema.field(column) for column in columns])
        if structures:
            schema = schema.append(pa.field("poscar", pa.string()))
        return write_tables(path, schema, _exported(reader, structures=structures))


def read_summary(lake: LakeFolders, name: str) -> DatasetSummary | None:
    """Return a dataset at a glance, or None where there is none of that name or it cannot be read."""
    if name not in lake.dataset_names():
        return None
    with without_warnings(), suppress(MatlakeError, pa.ArrowException, OSError):
        return _find_summary(lake, name)
    return None


def _summary(lake: LakeFolders, dataset: ReadableDataset, view: str) -> DatasetSummary:
    rows = count_dataset(dataset.parts)
    commit = import_commit(lake, dataset.name)
    stamp = commit.get("timestamp")
    imported = datetime.fromtimestamp(stamp / 1000, UTC) if stamp else None
    known = remembered_in(commit)
    stated = [known.get(key) or None for key in ("version", "licence")]
    return DatasetSummary(
        dataset.name,
        view,
        **vars(rows),
        properties=dataset.properties,
        imported=imported,
        source=commit.get(SOURCE_NOTE),
        version=stated[0],
        licence=stated[1],
        table_version=dataset.version,
    )


def remembered_in(commit: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a commit notes of a source by name; empty where it notes nothing, or nothing that can be read."""
    known = _json_note(commit, REMEMBERED_NOTE)
    return known if isinstance(known, dict) else {}


def columns_in(commit: Mapping[str, Any]) -> list[str]:
    """Return the properties that a commit notes as those of a source by name."""
    columns = _json_note(commit, COLUMNS_NOTE)
    return columns if isinstance(columns, list) else []


def _json_note(commit: Mapping[str, Any], name: str) -> Any:
    try:
        return json.loads(commit[name])
    except (KeyError, ValueError, TypeError):
        return None


def import_commit(lake: LakeFolders, name: str) -> dict[str, Any]:
    """Return what the log keeps of the last import of a dataset; empty if it has none.

    Compaction writes, too, but notes no source; imports before 0.2.0 did not either, and have created the table.
    """
    root = lake.dataset(name)
    with asking_delta(root):
        return _last_import(open_table_of(lake, root))


def _last_import(table: DeltaTable | None) -> dict[str, Any]:
    commits = table.history() if table is not None else []
    noted = [commit for commit in commits if SOURCE_NOTE in commit]
    others = [commit for commit in commits if commit.get("operation") in _IMPORTS]
    return (noted or others or [{}])[0]


def _column(connection: duckdb.DuckDBPyConnection, view: str, name: str, kind: str) -> PropertyColumn:
    value, ends = identifier(name), "NULL, NULL"
    if _ORDERED.fullmatch(kind):
        finite = f"FILTER (WHERE isfinite({value}))" if kind in _WITH_NAN else ""
        ends = f"min({value}) {finite}, max({value}) {finite}"
    ((nulls, smallest, largest),) = connection.execute(
        f"SELECT count(*) - count({value}), {ends} FROM main.{identifier(view)}"
    ).fetchall()
    return PropertyColumn(name, kind, unit_of(name), nulls, smallest, largest)


def _move(folder: Path, target: Path) -> None:
    try:
        rename(folder, target)
    except OSError as error:
        raise LakeError(f"cannot rename {folder} to {target.name}: {error.strerror}") from error
    fsync_folder(folder.parent)


def _exported(reader: pa.RecordBatchReader, *, structures: bool) -> Iterator[pa.Table]:
    for batch in reader:
        table = pa.Table.from_batches([batch])
        if structures:
            cells = zip(*(table[name].to_pylist() for name in ("formula", *GEOMETRY_COLUMNS)), strict=True)
            texts = [None if numbers is None else poscar_text(title, numbers, *rest) for title, numbers, *rest in cells]
            table = table.drop_columns(list(GEOMETRY_COLUMNS)).append_column("poscar", pa.array(texts, pa.string()))
        yield table


def _shown(value: object) -> str | None:
    return None if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
