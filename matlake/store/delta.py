"""Delta tables, used narrowly: we write Parquet parts, Delta records which of them are the table.

Every part is on disk (fsync) before the commit names it, and the commit itself is synced, which delta-rs does not
do. A crash leaves at worst a part that no commit names, which no reader sees.
"""

import json
import os
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, create_table_with_add_actions

from matlake.errors import CommitUnknownError, LakeError
from matlake.files import fsync_folder

ROW_GROUP_BYTES: Final = 8 << 20
COMMIT_ATTEMPTS: Final = 50


@dataclass(frozen=True)
class Part:
    """A Parquet file on disk that no commit names yet.

    Attributes:
        path: Relative to the table's folder.
        partition: Values of the partition columns, which are not in the file.
        size: Bytes.
        rows: Number of rows.
    """

    path: str
    partition: dict[str, str]
    size: int
    rows: int

    def action(self) -> AddAction:
        """Return the action that adds this part to its table."""
        return AddAction(
            path=self.path,
            size=self.size,
            partition_values=self.partition,
            modification_time=int(time.time() * 1000),
            data_change=True,
            stats=json.dumps({"numRecords": self.rows}),
        )


def write_part(root: Path, table: pa.Table, partition: dict[str, str], vectors: tuple[str, ...] = ()) -> Part:
    """Write a table as one Parquet file into a Delta table's folder, without committing it.

    Args:
        root: The table's folder.
        table: Rows, without the partition columns.
        partition: Values of the partition columns.
        vectors: Columns of float lists, stored byte-stream-split: exponents next to exponents compress.
    """
    folder = root.joinpath(*(f"{key}={value}" for key, value in partition.items()))
    folder.mkdir(parents=True, exist_ok=True)
    name = f"part-{uuid.uuid4()}.parquet"
    hidden = folder / f".{name}.tmp"
    row_bytes = max(1, table.nbytes // max(1, table.num_rows))
    leaves = [f"{column}.list.element" for column in vectors]
    try:
        with hidden.open("wb") as file:
            pq.write_table(
                table,
                file,
                compression="zstd",
                compression_level=1,
                row_group_size=max(1024, ROW_GROUP_BYTES // row_bytes),
                use_dictionary=[name for name in table.column_names if name not in vectors] if vectors else True,
                column_encoding=dict.fromkeys(leaves, "BYTE_STREAM_SPLIT") or None,
                write_statistics=not vectors,
            )
            file.flush()
            os.fsync(file.fileno())
        hidden.rename(folder / name)
    except BaseException:
        hidden.unlink(missing_ok=True)
        raise
    fsync_folder(folder)
    path = folder / name
    return Part(path.relative_to(root).as_posix(), partition, path.stat().st_size, table.num_rows)


def create_table(root: Path, schema: pa.Schema, partition_by: list[str]) -> None:
    """Create an empty table, unless there is one."""
    DeltaTable.create(str(root), schema=Schema.from_arrow(schema), mode="ignore", partition_by=partition_by)
    _sync_log(root)


def open_table(root: Path) -> DeltaTable | None:
    """Return the latest snapshot of a table, or None where there is no table.

    Raises:
        LakeError: The table cannot be read, or another tool marked rows as deleted in it.
    """
    try:
        table = DeltaTable(str(root))
    except TableNotFoundError:
        return None
    except (DeltaError, OSError) as error:
        raise LakeError(f"cannot read the table at {root}: {error}") from error
    if "deletionVectors" in (table.protocol().reader_features or []):
        raise LakeError(f"{root} holds deletion vectors, which matlake does not read", "purge them with the tool used")
    return table


def live_files(table: DeltaTable, partition: dict[str, str] | None = None) -> list[str]:
    """Return the absolute paths of a snapshot's files."""
    filters = [(key, "=", value) for key, value in (partition or {}).items()]
    return sorted(table.file_uris(partition_filters=filters or None))


def replace_all(root: Path, schema: pa.Schema, parts: list[Part]) -> None:
    """Make the parts the whole content of a table, in one commit; create it where there is none."""
    try:
        create_table_with_add_actions(
            str(root), Schema.from_arrow(schema), [part.action() for part in parts], mode="overwrite"
        )
    except CommitFailedError as error:
        raise LakeError(f"another process wrote {root} at the same time: {error}", "run the import again") from error
    except (DeltaError, OSError) as error:
        raise CommitUnknownError(
            f"it is not known whether the commit to {root} was recorded: {error}",
            "see `matlake status`, then run again",
        ) from error
    _sync_log(root)


def append_new(root: Path, part: Part, since: int, key: str, vectors: tuple[str, ...] = ()) -> int:
    """Commit a part, less the keys that others committed to its partition after snapshot ``since``.

    Each commit carries a transaction number of its partition, and Delta lets only one of two commits with the
    same number pass; the other looks again at what is there. So no key is ever in the table twice, whatever the
    number of writers.

    Args:
        root: The table's folder.
        part: A part whose keys were not in snapshot ``since``.
        since: Version of the table that the part's keys were checked against.
        key: Column that is unique within a partition.
        vectors: As in ``write_part``, in case that the part has to be written again.

    Returns:
        The number of rows added.
    """
    application = "/".join(part.partition.values())
    for attempt in range(COMMIT_ATTEMPTS):
        table = DeltaTable(str(root))
        taken = keys_added_since(table, part.partition, since, key)
        if len(taken):
            rows = pq.read_table(root / part.path, partitioning=None)
            fresh = rows.filter(pa.compute.invert(pa.compute.is_in(rows[key], value_set=taken)))
            (root / part.path).unlink()
            if not fresh.num_rows:
                return 0
            part = write_part(root, fresh, part.partition, vectors)
        since = table.version()
        number = table.transaction_version(application)
        try:
            table.create_write_transaction(
                [part.action()],
                "append",
                table.schema(),
                commit_properties=CommitProperties(
                    max_commit_retries=0,
                    app_transactions=[Transaction(application, 0 if number is None else number + 1)],
                ),
            )
        except CommitFailedError:
            time.sleep(0.01 * min(attempt, 20))
            continue
        except (DeltaError, OSError) as error:
            raise CommitUnknownError(
                f"it is not known whether the commit to {root} was recorded: {error}",
                "run the same command again: what is there already is skipped",
            ) from error
        _sync_log(root)
        return part.rows
    raise LakeError(f"{COMMIT_ATTEMPTS} commits to {root} in a row lost against other writers", "run again")


def keys_added_since(table: DeltaTable, partition: dict[str, str], since: int, key: str) -> pa.Array:
    """Return the keys in a partition's files that were added after a version."""
    if table.version() == since:
        return pa.array([], pa.string())
    old = DeltaTable(table.table_uri, version=since)
    new = set(live_files(table, partition)) - set(live_files(old, partition))
    columns = [pq.read_table(file, columns=[key], partitioning=None)[key] for file in sorted(new)]
    return pa.chunked_array(columns, pa.string()).combine_chunks()


def _sync_log(root: Path) -> None:
    """Sync the newest log entry and its folder: delta-rs leaves that to the operating system."""
    log = root / "_delta_log"
    newest = max(log.glob("*.json"))
    with newest.open("rb") as file:
        os.fsync(file.fileno())
    fsync_folder(log)
