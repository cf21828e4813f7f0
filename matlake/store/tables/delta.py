"""Delta tables, used narrowly: we write Parquet parts, Delta records which of them are the table.

Every part is on disk (fsync) before the commit names it, and the commit itself is synced, which delta-rs does not
do. A crash leaves at worst a part that no commit names, which no reader sees.
"""

import threading
import time
import warnings
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Final, Literal
from urllib.parse import unquote, urlsplit

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import create_table_with_add_actions

from matlake.errors import REPAIR, DamageWarning, LakeError
from matlake.platforms import path_in_uri
from matlake.store.storage.conditional_puts import require_conditional_puts
from matlake.store.storage.parquet import count_rows, read_table
from matlake.store.storage.places import LakePath, fsync_folder, lake_path
from matlake.store.storage.remote_path import SCHEMES, RemotePath, again_where_cut, delta_options
from matlake.store.tables.commit_outcomes import asking_delta, first_line, raise_refusal, resolve
from matlake.store.tables.log_entries import CommitMark, clear_log, drop_lost_log, has_table, sync_log
from matlake.store.tables.log_records import LogFiles, log_files, shared_dicts
from matlake.store.tables.parts import Damage, LivePart, part_name, sound, split_damaged, warn_of
from matlake.store.tables.writing import Part, discard, link_part

COMMIT_ATTEMPTS: Final = 50
MAINTENANCE: Final = "maintenance"
"""The application of maintainers in Delta's transaction numbers: two of them at once cannot both commit."""
_REPLACEMENT: Final = "replacement"  # that of commits that replace a whole table

_KEPT_SNAPSHOTS: Final = 64
"""Of one process, one for each table, or version of a table that was asked for."""


@dataclass(frozen=True)
class Snapshot:
    """A version of a table, as readers need it.

    Attributes:
        id: Of the table.
        version: Its number.
        schema: Its columns.
        parts: What it names, in order of path, whether sound or not.
    """

    id: str
    version: int
    schema: Schema
    parts: tuple[LivePart, ...]


_kept: OrderedDict[tuple[LakePath, int | None], tuple[LogFiles, Snapshot | None]] = OrderedDict()
"""Snapshots with the log that each was read from; the one used last is at the end."""
_keeping: Final = threading.Lock()

_AFTER_COMMIT: Final = PostCommitHookProperties(cleanup_expired_logs=False)
"""delta-rs would remove entries of the log that versions of heads need; ``compact`` removes those that none needs."""


def create_table(root: LakePath, schema: pa.Schema, partition_by: list[str]) -> None:
    """Create an empty table, unless there is one.

    Raises:
        LakeError: The table cannot be created.
    """
    require_conditional_puts(root)
    drop_lost_log(root)
    try:
        DeltaTable.create(
            _uri(root),
            storage_options=_options(root),
            schema=Schema.from_arrow(schema),
            mode="ignore",
            partition_by=partition_by,
            # a retry would create the table again, as the second version of itself
            commit_properties=CommitProperties(max_commit_retries=0),
        )
    except (DeltaError, OSError) as error:
        # another writer may have created it after "ignore" had looked, and so may this one, whose answer was lost
        if open_table(root) is None:
            raise_refusal(root, error)
            raise LakeError(f"cannot create the table at {root}: {error}") from error
    sync_log(root)


def open_table(root: LakePath, version: int | None = None) -> DeltaTable | None:
    """Return the latest snapshot of a table, or that of a version, or None where there is no table.

    Raises:
        LakeError: The table cannot be read, or another tool marked rows as deleted in it.
    """
    try:
        table = _snapshot(root, version)
    except TableNotFoundError:
        return None
    except Exception as error:
        raise_refusal(root, error)
        if isinstance(root, RemotePath) and not has_table(root):
            return None  # what a deletion that was stopped has left
        raise damaged_log(root, error) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # what delta-rs raises where it did not expect what it read
            raise
        raise damaged_log(root, error) from error
    if "deletionVectors" in (table.protocol().reader_features or []):
        raise LakeError(f"{root} holds deletion vectors, which matlake does not read", "purge them with the tool used")
    return table


def damaged_log(root: LakePath, error: BaseException) -> LakeError:
    """Return the error for a table whose log cannot be read."""
    return LakeError(f"cannot read the log of the table at {root}: {first_line(error)}", REPAIR)


def live_files(table: DeltaTable, partition: dict[str, str] | None = None) -> list[LakePath]:
    """Return the absolute paths of a snapshot's files.

    delta-rs puts the table's folder, percent-encoded, in front of the names of the parts, which it leaves as they are.
    """
    filters = [(key, "=", value) for key, value in (partition or {}).items()]
    uris = table.file_uris(partition_filters=filters or None)
    if urlsplit(table.table_uri).scheme in SCHEMES:
        root = lake_path(unquote(table.table_uri))
        return sorted(root / uri.removeprefix(table.table_uri) for uri in uris)
    parts = urlsplit(table.table_uri)
    folder = path_in_uri(parts.netloc, unquote(parts.path))
    return [Path(path) for path in sorted(folder + _below(table.table_uri, parts.path, uri) for uri in uris)]


def _below(table_uri: str, path: str, uri: str) -> str:
    """Return the name of a part below its table; on Windows delta-rs leaves out the slash before the drive."""
    for start in (table_uri, path, path.removeprefix("/")):
        if uri.startswith(start):
            return uri[len(start) :]
    return uri


def live_parts(table: DeltaTable, partition: dict[str, str] | None = None) -> list[LivePart]:
    """Return a snapshot's parts, all or those of a partition, with what the table has recorded of them."""
    # pa.table would import pandas
    recorded = pa.RecordBatchReader.from_stream(table.get_add_actions(flatten=True)).read_all()
    files = {file.name: file for file in live_files(table, partition)}
    if "num_records" not in recorded.column_names:
        recorded = recorded.append_column("num_records", pa.nulls(recorded.num_rows, pa.int64()))
    columns = [recorded[name].to_pylist() for name in ("path", "size_bytes", "num_records")]
    shared = [shared_dicts(recorded, kind) for kind in ("partition.", "null_count.")]
    parts = []
    for path, size, rows, named, nulls in sorted(zip(*columns, *shared, strict=True), key=itemgetter(0)):
        file = files.get(path.rpartition("/")[2])
        if file is not None:
            parts.append(LivePart(file, size, _count_rows(file) if rows is None else rows, named, nulls))
    return parts


def _count_rows(file: LakePath) -> int:
    """Read the number of rows of a part of which the table has not recorded it; 0 where that cannot be read."""
    try:
        return count_rows(file)
    except (OSError, pa.ArrowException):
        return 0


def read_snapshot(root: LakePath) -> Snapshot | None:
    """Return the latest snapshot of a table, or None where there is no table; a log is read again once it has changed.

    Raises:
        LakeError: See ``open_table``.
    """
    return _kept_snapshot(root, None)


def read_snapshot_of(root: LakePath, version: int) -> Snapshot | None:
    """Return the snapshot of a version of a table; None where there is no table.

    Raises:
        LakeError: See ``open_table``.
    """
    with suppress(LakeError):  # the version may be readable where later ones are not
        latest = read_snapshot(root)
        if latest is not None and latest.version == version:
            return latest
    return _kept_snapshot(root, version)


def _kept_snapshot(root: LakePath, version: int | None) -> Snapshot | None:
    log = log_files(root)  # before reading: what is written meanwhile makes it old, not wrong
    with _keeping:
        kept = _kept.pop((root, version), None)
    if kept is None or kept[0] != log:
        table = open_table(root, version)
        kept = log, None if table is None else _taken(table)
    with _keeping:
        _kept[root, version] = kept
        while len(_kept) > _KEPT_SNAPSHOTS:
            _kept.popitem(last=False)
    return kept[1]


def _taken(table: DeltaTable) -> Snapshot:
    return Snapshot(str(table.metadata().id), table.version(), table.schema(), tuple(live_parts(table)))


def sound_parts(
    table: Snapshot | None, partition: dict[str, str] | None = None, *, verify: bool = False
) -> list[LivePart]:
    """Return a snapshot's parts less those that are damaged, which a ``DamageWarning`` names; none where no table is.

    Args:
        table: The snapshot.
        partition: The partition; None for all.
        verify: See ``parts.find_damage``.
    """
    if table is None:
        return []
    parts = [part for part in table.parts if partition is None or part.partition == partition]
    return sound(parts, verify=verify)


def snapshot_or_warn(root: LakePath) -> Snapshot | None:
    """Return the latest snapshot of a table; None where there is none, or where its log is damaged, with a warning."""
    try:
        return read_snapshot(root)
    except LakeError as error:
        warnings.warn(DamageWarning(str(error)), stacklevel=2)
        return None


def shared_snapshot_or_warn(root: LakePath) -> Snapshot | None:
    """Do the same for a table that every lake has, and warn where it is missing."""
    if not has_table(root):
        warnings.warn(DamageWarning(f"{root} is missing"), stacklevel=2)
        return None
    return snapshot_or_warn(root)


def read_rows(root: LakePath, *, verify: bool = False, version: int | None = None) -> pa.Table:
    """Read all rows of a table that exists, columns that a file lacks being null.

    Raises:
        LakeError: No part of it is sound.
    """
    table = read_snapshot(root) if version is None else read_snapshot_of(root, version)
    parts = sound_parts(table, verify=verify)
    if not parts:
        raise LakeError(f"no part of the table at {root} can be read", REPAIR)
    return pa.concat_tables([read_table(part.path) for part in parts], promote_options="default")


def replace_all(root: LakePath, schema: pa.Schema, parts: list[Part], notes: dict[str, str]) -> None:
    """Make the parts the whole content of a table, in one commit; create it where there is none.

    Args:
        root: The table's folder.
        schema: Of all parts.
        parts: They are on disk.
        notes: What the log keeps of the commit besides.

    Raises:
        LakeError: The log of the table is damaged, or another process wrote to it at the same time.
        CommitUnknownError: It is not known whether the commit was recorded.
    """
    # what a stopped deletion has left in a bucket may be enough for delta-rs
    table, mark = open_table(root) if has_table(root) else None, CommitMark.new(parts)
    if table is None:
        clear_log(root)
    before = -1 if table is None else table.version()
    with asking_delta(root):
        transaction = _next(table, _REPLACEMENT)
    try:
        create_table_with_add_actions(
            _uri(root),
            Schema.from_arrow(schema),
            [part.action() for part in parts],
            mode="overwrite",
            storage_options=_options(root),
            commit_properties=CommitProperties({**notes, **mark.note}, app_transactions=[transaction]),
            post_commithook_properties=_AFTER_COMMIT,
        )
    except CommitFailedError as error:
        if not mark.is_recorded(root, before):
            raise LakeError(
                f"another process wrote {root} at the same time: {error}", "run the import again"
            ) from error
    except (DeltaError, OSError) as error:
        resolve(root, before, mark, error, "look at the status of the lake, then run again")
    sync_log(root)


def replace_parts(root: LakePath, partition: dict[str, str], old: Collection[str], new: Sequence[Part]) -> bool:
    """Put parts in the place of others of a partition, in one commit that only one of several maintainers can make.

    delta-rs replaces partitions, not files. So the parts that stay get new names, which are links to the same bytes.
    The old names remain on disk, for readers of older snapshots; a kill in between leaves names that nobody reads.

    Args:
        root: The table's folder.
        partition: The partition; empty for a table without partitions.
        old: Names of the parts that go.
        new: Parts that come.

    Returns:
        Whether it was done. It was not where one of the old parts is no longer in the table.

    Raises:
        LakeError: A part that stays is missing; or other writers were faster many times in a row.
        CommitUnknownError: It is not known whether the commit was recorded.
    """
    links: dict[str, Part] = {}
    for attempt in range(COMMIT_ATTEMPTS):
        table = _snapshot(root)
        live = {part.path.name: part for part in live_parts(table, partition)}
        if not live.keys() >= set(old):
            discard(root, [*new, *links.values()])
            return False
        stay = [part for name, part in live.items() if name not in old]
        for part in stay:
            if part.path.name not in links:
                links[part.path.name] = link_part(root, part, part_name(part.digest))
        for folder in {part.path.parent for part in stay}:
            fsync_folder(folder)
        parts = [*new, *(links[part.path.name] for part in stay)]
        if not commit(root, table, parts, "overwrite", MAINTENANCE, "run the same command again", partition):
            time.sleep(pause(attempt))
            continue
        discard(root, [link for name, link in links.items() if name not in live])
        return True
    discard(root, [*new, *links.values()])
    raise LakeError(f"{COMMIT_ATTEMPTS} commits to {root} in a row lost against other writers", "run again")


def commit(
    root: LakePath,
    table: DeltaTable,
    parts: Sequence[Part],
    mode: Literal["append", "overwrite"],
    application: str,
    hint: str,
    partition: dict[str, str] | None = None,
    *,
    schema: pa.Schema | None = None,
    notes: Mapping[str, str] | None = None,
) -> bool:
    """Try one commit under the next transaction number of an application; return False if another writer had it first.

    Args:
        root: The table's folder.
        table: The snapshot that the commit follows.
        parts: They are on disk.
        mode: Add the parts, or let them replace a partition.
        application: Of two commits with the same number of one application, Delta lets only one pass.
        hint: What to do if the outcome is not known.
        partition: The partition to replace; None or empty for the whole table.
        schema: The columns from now on, where the whole table is replaced; by default as they are.
        notes: What the log keeps of the commit besides.

    Raises:
        CommitUnknownError: It is not known whether the commit was recorded.
    """
    before, mark = table.version(), CommitMark.new(parts)
    with asking_delta(root):
        transaction = _next(table, application)
    try:
        table.create_write_transaction(
            [part.action() for part in parts],
            mode,
            table.schema() if schema is None else Schema.from_arrow(schema),
            partition_filters=[(key, "=", value) for key, value in (partition or {}).items()] or None,
            commit_properties=CommitProperties(
                custom_metadata={**(notes or {}), **mark.note},
                max_commit_retries=0,
                app_transactions=[transaction],
            ),
            post_commithook_properties=_AFTER_COMMIT,
        )
    except CommitFailedError:
        # the answer to our own commit may have been lost, so that its second try met the first
        if not mark.is_recorded(root, before):
            return False
    except (DeltaError, OSError) as error:
        resolve(root, before, mark, error, hint)
    sync_log(root)
    return True


def _next(table: DeltaTable | None, application: str) -> Transaction:
    number = None if table is None else table.transaction_version(application)
    return Transaction(application, 0 if number is None else number + 1)


def pause(attempt: int) -> float:
    """Return the seconds to wait after another writer was faster so many times."""
    return 0.01 * min(attempt, 20)


def drop_damaged(root: LakePath, partition: dict[str, str], *, verify: bool = False) -> list[Damage]:
    """Take damaged parts out of a partition, whose rows can be made again; the files stay where they are.

    Args:
        root: The table's folder.
        partition: The partition.
        verify: See ``parts.find_damage``.

    Returns:
        What was taken out.
    """
    table = open_table(root)
    if table is None:
        return []
    _, damaged = split_damaged(live_parts(table, partition), verify=verify)
    if damaged:
        warn_of(damaged)
        replace_parts(root, partition, {damage.part.path.name for damage in damaged}, [])
    return damaged


def _snapshot(root: LakePath, version: int | None = None) -> DeltaTable:
    return again_where_cut(lambda: DeltaTable(_uri(root), version, storage_options=_options(root)))


def _options(root: LakePath) -> dict[str, str] | None:
    return delta_options(root) if isinstance(root, RemotePath) else None


def _uri(root: LakePath) -> str:
    """Return the address of a table: delta-rs guesses whether a plain path is encoded."""
    return root.absolute().as_uri()
