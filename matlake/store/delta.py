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
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, create_table_with_add_actions

from matlake.errors import CommitUnknownError, LakeError
from matlake.files import fsync_folder, naming

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
        with naming(hidden), hidden.open("wb") as file:
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
    """Create an empty table, unless there is one.

    Raises:
        LakeError: The table cannot be created.
    """
    try:
        DeltaTable.create(
            str(root),
            schema=Schema.from_arrow(schema),
            mode="ignore",
            partition_by=partition_by,
            # a retry would create the table again, as the second version of itself
            commit_properties=CommitProperties(max_commit_retries=0),
        )
    except (DeltaError, OSError) as error:
        # another writer may have created it after "ignore" had looked
        if open_table(root) is None:
            raise LakeError(f"cannot create the table at {root}: {error}") from error
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


def partitions(table: DeltaTable | None) -> list[dict[str, str]]:
    """Return the partitions that a snapshot has files in: looking for the files of one costs a millisecond."""
    return [] if table is None else [dict(partition) for partition in table.partitions()]


def read_rows(root: Path) -> pa.Table:
    """Read all rows of a table that exists, columns that a file lacks being null."""
    table = open_table(root)
    assert table is not None  # noqa: S101 - see the summary
    return pa.concat_tables([pq.read_table(file) for file in live_files(table)], promote_options="default")


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
            "look at the status of the lake, then run again",
        ) from error
    _sync_log(root)


class Appender:
    """Adds parts to one partition of a table such that no key is ever in it twice, whatever the number of writers.

    Each commit carries a transaction number of the partition, and Delta lets only one of two commits with the same
    number pass; the other looks again at what is there. The appender's own parts are taken to share no key with each
    other.
    """

    def __init__(self, root: Path, partition: dict[str, str], key: str, vectors: tuple[str, ...] = ()) -> None:
        """Take the snapshot that the caller checks keys against.

        Args:
            root: The table's folder.
            partition: The partition to add to.
            key: Column that is unique within the partition.
            vectors: As in ``write_part``, in case that a part has to be written again.
        """
        self.root, self.partition, self.key, self.vectors = root, partition, key, vectors
        self.table = DeltaTable(str(root))
        self.files = live_files(self.table, partition)
        self._known = {Path(file).name for file in self.files}
        self._foreign: pa.Array = pa.array([], pa.string())

    def foreign_keys(self) -> pa.Array:
        """Return the keys that other writers have added since the snapshot."""
        self.table.update_incremental()
        new = [file for file in live_files(self.table, self.partition) if Path(file).name not in self._known]
        for file in new:
            keys = pq.read_table(file, columns=[self.key], partitioning=None)[self.key]
            self._foreign = pa.concat_arrays([self._foreign, *keys.chunks])
            self._known.add(Path(file).name)
        return self._foreign

    def without_foreign(self, rows: pa.Table) -> pa.Table:
        """Return the rows whose keys no other writer has added since the snapshot."""
        foreign = self.foreign_keys()
        return rows.filter(pc.invert(pc.is_in(rows[self.key], value_set=foreign))) if len(foreign) else rows

    def append(self, part: Part) -> int:
        """Commit a part of this partition, less the keys that others have added; return the number of rows added.

        Raises:
            LakeError: Other writers were faster many times in a row.
            CommitUnknownError: It is not known whether the commit was recorded.
        """
        application = "/".join(self.partition.values())
        for attempt in range(COMMIT_ATTEMPTS):
            if len(self.foreign_keys()):
                written = pq.read_table(self.root / part.path, partitioning=None)
                fresh = self.without_foreign(written)
                if fresh.num_rows < written.num_rows:
                    (self.root / part.path).unlink()
                    if not fresh.num_rows:
                        return 0
                    part = write_part(self.root, fresh, self.partition, self.vectors)
            number = self.table.transaction_version(application)
            try:
                self.table.create_write_transaction(
                    [part.action()],
                    "append",
                    self.table.schema(),
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
                    f"it is not known whether the commit to {self.root} was recorded: {error}",
                    "run the same command again: what is there already is skipped",
                ) from error
            self._known.add(Path(part.path).name)
            _sync_log(self.root)
            return part.rows
        raise LakeError(f"{COMMIT_ATTEMPTS} commits to {self.root} in a row lost against other writers", "run again")


def _sync_log(root: Path) -> None:
    """Sync the newest log entry and its folder: delta-rs leaves that to the operating system."""
    log = root / "_delta_log"
    newest = max(log.glob("*.json"))
    with newest.open("rb") as file:
        os.fsync(file.fileno())
    fsync_folder(log)
