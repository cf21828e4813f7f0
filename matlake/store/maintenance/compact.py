"""Compaction: many small parts of a table become few, and unused files are removed.

Parts are merged row group by row group, so memory does not grow with the table. Merged parts take the place of the
small ones in one commit for each partition; of two compactors that meet, one finds the small parts gone and leaves it
at that. Readers of older snapshots keep their files until the retention time has passed.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from matlake.errors import REPAIR, CommitUnknownError, LakeError
from matlake.progress import SILENT, Progress
from matlake.reports import Report
from matlake.store.content_keys import KEY_SEPARATOR, ROW_HASH, STORED_KEYS
from matlake.store.damage import tables
from matlake.store.lake import Lake
from matlake.store.maintenance.leftovers import RETENTION_HOURS, remove_leftovers
from matlake.store.predictions import current_digests, is_stale
from matlake.store.storage.parquet import open_parquet, read_schema, read_table
from matlake.store.storage.places import LakePath
from matlake.store.tables import delta, writing
from matlake.store.tables.parts import LivePart, by_partition, split_damaged, without_warnings

PART_BYTES: Final = 128 << 20
"""Size that small parts are merged to: large enough that a million vectors of 128 numbers are five files."""

_KEY: Final = "content_hash"
_VECTORS: Final = ("vector",)


@dataclass(repr=False)
class CompactReport(Report):
    """What ``compact`` did.

    Attributes:
        merged: Parts that were merged.
        written: Parts that took their place.
        removed: Unused files that were removed.
        removed_bytes: Their size.
        dropped: Vectors, failures and predictions dropped because no dataset holds their content; and predictions of
            heads that are others by now, or gone.
        notes: What was left as it is, and why.
        seconds: Wall time.
    """

    merged: int = 0
    written: int = 0
    removed: int = 0
    removed_bytes: int = 0
    dropped: int = 0
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        return dict(vars(self))

    def lines(self) -> list[str]:
        """Return the text for people."""
        dropped = [f"dropped {self.dropped:,} rows of contents in no dataset, or of stale predictions"]
        return [
            f"merged {self.merged:,} parts into {self.written:,} in {self.seconds:.1f} s",
            *(dropped if self.dropped else []),
            f"removed {self.removed:,} unused files, {self.removed_bytes / 1e6:,.1f} MB",
            *(f"note: {note}" for note in self.notes),
        ]


@without_warnings()
def compact(
    lake: Lake,
    *,
    drop_unused: bool = False,
    retention_hours: int = RETENTION_HOURS,
    part_bytes: int = PART_BYTES,
    progress: Progress = SILENT,
) -> CompactReport:
    """Merge small parts, and remove unused files.

    Readers and writers may go on meanwhile; of several compactors at once, one merges a partition.

    Args:
        lake: The lake.
        drop_unused: Drop vectors, failures and predictions whose content is in no dataset, which are kept otherwise,
            because a content that comes back then costs nothing; and stale predictions.
        retention_hours: Age from which unused files are removed, in hours. Processes that read or write
            for longer would miss them.
        part_bytes: Size that parts are merged to; parts of half of it or more stay.
        progress: Receives the number of partitions done.

    Raises:
        LakeError: ``drop_unused``, and a dataset cannot be read whole.
        CommitUnknownError: It is not known whether a commit was recorded.
    """
    lake.check_writable()
    started = time.monotonic()
    report = CompactReport()
    used = _used_contents(lake) if drop_unused else None
    digests = current_digests(lake)
    partitions = list(_partitions(lake, report))
    for done, (root, partition, parts) in enumerate(partitions):
        progress.track(done, len(partitions))
        keyed = root in (lake.embeddings, lake.failures_table, lake.predictions)
        stale = root == lake.predictions and is_stale(partition, digests)
        try:
            _compact_partition(
                root,
                partition,
                parts,
                report,
                part_bytes=part_bytes,
                vectors=_VECTORS if root == lake.embeddings else (),
                used=None if used is None or not keyed else used.slice(0, 0) if stale else used,
            )
        except CommitUnknownError:
            raise
        except LakeError as error:
            report.notes.append(_left(root.joinpath(*partition.values()), error))
    try:
        report.removed, report.removed_bytes = remove_leftovers(lake, retention_hours)
    except LakeError as error:
        report.notes.append(f"no files were removed: {error}; {error.cli_hint}")
    report.seconds = round(time.monotonic() - started, 3)
    return report


def _partitions(lake: Lake, report: CompactReport) -> Iterator[tuple[LakePath, dict[str, str], list[LivePart]]]:
    for root in tables(lake):
        try:
            table = delta.open_table(root)
        except LakeError as error:
            report.notes.append(_left(root, error))
            continue
        if table is None:
            continue
        for key, parts in by_partition(delta.live_parts(table)).items():
            yield root, dict(key), parts


def _left(path: LakePath, error: LakeError) -> str:
    return f"{path} was left as it is: {error}; {error.cli_hint}"


def _compact_partition(
    root: LakePath,
    partition: dict[str, str],
    parts: list[LivePart],
    report: CompactReport,
    *,
    part_bytes: int,
    vectors: tuple[str, ...],
    used: pa.Array | None,
) -> None:
    looked_at = parts if used is not None else [part for group in _groups(parts, set(), part_bytes) for part in group]
    _, damaged = split_damaged(looked_at, verify=True)
    if damaged:
        raise LakeError(str(damaged[0]), REPAIR)
    unused = {part.path.name: _unused(part, used) for part in parts} if used is not None else {}
    groups = list(_groups(parts, {name for name, number in unused.items() if number}, part_bytes))
    if not groups:
        return
    names = {part.path.name for group in groups for part in group}
    written: list[writing.Part] = []
    try:
        for group in groups:
            merged = _merge(root, partition, group, vectors, used)
            if merged is not None:
                written.append(merged)
    except BaseException:
        writing.discard(root, written)
        raise
    if delta.replace_parts(root, partition, names, written):
        report.merged += len(names)
        report.written += len(written)
        report.dropped += sum(unused.values())
    else:
        report.notes.append(f"{root.joinpath(*partition.values())} was changed meanwhile by another process")


def _groups(parts: Sequence[LivePart], always: set[str], part_bytes: int) -> Iterator[list[LivePart]]:
    """Yield parts to be merged with each other: small ones, and those named in ``always``."""
    group: list[LivePart] = []
    size = 0
    for part in parts:
        if part.size * 2 >= part_bytes and part.path.name not in always:
            continue
        group.append(part)
        size += part.size
        if size >= part_bytes:
            yield group
            group, size = [], 0
    if len(group) > 1 or (group and group[0].path.name in always):
        yield group


def _merge(
    root: LakePath, partition: dict[str, str], parts: list[LivePart], vectors: tuple[str, ...], used: pa.Array | None
) -> writing.Part | None:
    """Write the rows of parts as one part, or return None where no row is left."""
    schema = pa.unify_schemas([read_schema(part.path) for part in parts], promote_options="default")
    schema = schema.remove_metadata()
    merged = writing.write_stream(root, schema, _rows(parts, schema, used), partition, vectors)
    if merged.rows:
        return merged
    writing.discard(root, [merged])
    return None


def _rows(parts: Iterable[LivePart], schema: pa.Schema, used: pa.Array | None) -> Iterator[pa.Table]:
    for part in parts:
        with open_parquet(part.path) as file:
            for group in range(file.num_row_groups):
                table = file.read_row_group(group)
                if used is not None:
                    table = table.filter(_are_used(table[_KEY], used))
                yield pa.concat_tables([schema.empty_table(), table], promote_options="default")


def _unused(part: LivePart, used: pa.Array) -> int:
    keys = read_table(part.path, [_KEY])[_KEY]
    return int(keys.length()) - int(pc.sum(_are_used(keys, used)).as_py() or 0)


def _are_used(keys: pa.ChunkedArray, used: pa.Array) -> pa.ChunkedArray:
    """Return which keys are of contents in use, whatever values of columns stand behind the content."""
    contents = pc.list_element(pc.split_pattern(keys, KEY_SEPARATOR, max_splits=1), 0)
    return pc.is_in(contents, value_set=used)


def _used_contents(lake: Lake) -> pa.Array:
    """Return all contents of all datasets; and the rows without a crystal, by which failures are keyed.

    Raises:
        LakeError: A dataset cannot be read whole.
    """
    found: list[pa.Array] = [pa.array([], pa.string())]
    external = _may_be_external(lake)
    for name in lake.dataset_names():
        table = delta.open_table(lake.dataset(name))
        sound, damaged = split_damaged(delta.live_parts(table) if table is not None else [], verify=True)
        if damaged:
            raise LakeError(f"{damaged[0]}: it is not known which vectors are used", "import the dataset again first")
        for part in sound:
            columns = [column for column in STORED_KEYS.values() if column in read_schema(part.path).names]
            rows = read_table(part.path, [*columns, "material_id"])
            for column in columns:
                found += rows[column].drop_null().chunks
            if external:
                found += _row_hashes(rows)
            found += pc.binary_join_element_wise(name + "/", rows["material_id"], "").chunks
    return pc.unique(pa.concat_arrays(found))


def _may_be_external(lake: Lake) -> bool:
    """Say whether a vector may be of an external encoder, whose card may be damaged or gone."""
    known = {registered.card.name for registered in lake.registered_encoders() if not registered.card.is_external}
    snapshot = delta.read_snapshot(lake.embeddings)
    return any(part.partition["encoder"] not in known for part in (snapshot.parts if snapshot is not None else ()))


def _row_hashes(rows: pa.Table) -> list[pa.Array]:
    """Return what vectors of external encoders belong to, of some rows of a dataset."""
    if "crystal_hash" not in rows.column_names:
        rows = rows.append_column("crystal_hash", pa.nulls(rows.num_rows, pa.string()))
    with duckdb.connect() as connection:
        connection.register("rows", rows)
        hashes = connection.sql(f"SELECT {ROW_HASH} AS key FROM rows").to_arrow_table()["key"]
    return list(hashes.drop_null().chunks)
