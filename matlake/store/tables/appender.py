"""Appending to a partition of a Delta table, beside other writers."""

import time
from collections.abc import Iterator, Sequence
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from matlake.errors import REPAIR, LakeError
from matlake.store.storage.parquet import read_table
from matlake.store.storage.places import LakePath
from matlake.store.tables import delta, writing
from matlake.store.tables.commit_outcomes import asking_delta
from matlake.store.tables.log_entries import has_version, read_entry

_TRUSTED_SECONDS: Final = 600.0
"""Age from which a snapshot is read anew: of an old one, the next entries may have been removed from the log."""


class Appender:
    """Adds parts to one partition of a table such that no key is ever in it twice, whatever the number of writers.

    Each commit carries a transaction number of the partition, and Delta lets only one of two commits with the same
    number pass; the other looks again at what is there. The appender's own parts are taken to share no key with each
    other.
    """

    def __init__(
        self,
        root: LakePath,
        partition: dict[str, str],
        key: str,
        vectors: tuple[str, ...] = (),
        *,
        verify: bool = False,
    ) -> None:
        """Take damaged parts out of the partition, so that their rows are made again, and take the snapshot to check.

        Args:
            root: The table's folder.
            partition: The partition to add to.
            key: Column that is unique within the partition.
            vectors: As in ``write_part``, in case that a part has to be written again.
            verify: Find damaged parts by their digests; see ``parts.find_damage``.

        Raises:
            LakeError: The table cannot be read.
        """
        self.root, self.partition, self.key, self.vectors = root, partition, key, vectors
        delta.drop_damaged(root, partition, verify=verify)
        table = delta.open_table(root)
        if table is None:
            raise LakeError(f"there is no table at {root}", REPAIR)
        self.table, self._read = table, time.monotonic()
        self.files = delta.live_files(self.table, partition)
        self._known = {file.name for file in self.files}
        self._foreign: pa.Array = pa.array([], pa.string())

    def foreign_keys(self) -> pa.Array:
        """Return the keys that other writers have added since the snapshot.

        It costs a look for the next entries of the log, whatever the size of the table.
        """
        before = self.table.version()
        trusted = time.monotonic() - self._read < _TRUSTED_SECONDS
        if trusted and not has_version(self.root, before + 1):
            return self._foreign
        with asking_delta(self.root):
            self.table.update_incremental()
        self._read = time.monotonic()
        for file in self._added_since(before) if trusted else delta.live_files(self.table, self.partition):
            if file.name not in self._known:
                self._foreign = pa.concat_arrays([self._foreign, *self._read_keys(file).chunks])
                self._known.add(file.name)
        return self._foreign

    def _added_since(self, before: int) -> Iterator[LakePath]:
        """Yield the files of the partition that versions after one have added, up to that of the snapshot."""
        for version in range(before + 1, self.table.version() + 1):
            for action in read_entry(self.root, version):
                added = action.get("add")
                if added and added["partitionValues"] == self.partition:
                    yield self.root.joinpath(*added["path"].split("/"))

    def _read_keys(self, file: LakePath) -> pa.ChunkedArray:
        try:
            return read_table(file, [self.key])[self.key]
        except (pa.ArrowException, OSError) as error:
            raise LakeError(f"cannot read {file}: {error}", REPAIR) from error

    def without_foreign(self, rows: pa.Table) -> pa.Table:
        """Return the rows whose keys no other writer has added since the snapshot."""
        foreign = self.foreign_keys()
        return rows.filter(pc.invert(pc.is_in(rows[self.key], value_set=foreign))) if len(foreign) else rows

    def append(self, parts: Sequence[writing.Part]) -> int:
        """Commit parts of this partition, less the keys that others have added; return the number of rows added.

        Raises:
            LakeError: Other writers were faster many times in a row.
            CommitUnknownError: It is not known whether the commit was recorded.
        """
        application = "/".join(self.partition.values())
        for attempt in range(delta.COMMIT_ATTEMPTS):
            if len(self.foreign_keys()):
                parts = [fresh for part in parts for fresh in self._fresh(part)]
            if not parts:
                return 0
            hint = "run the same command again: what is there already is skipped"
            if delta.commit(self.root, self.table, parts, "append", application, hint):
                self._known.update((self.root / part.path).name for part in parts)
                return sum(part.rows for part in parts)
            time.sleep(delta.pause(attempt))
        raise LakeError(
            f"{delta.COMMIT_ATTEMPTS} commits to {self.root} in a row lost against other writers", "run again"
        )

    def _fresh(self, part: writing.Part) -> Iterator[writing.Part]:
        """Yield a part as it is, or written again without the keys that others have added; nothing if none is left."""
        written = read_table(self.root / part.path)
        fresh = self.without_foreign(written)
        if fresh.num_rows == written.num_rows:
            yield part
            return
        writing.discard(self.root, [part])
        if fresh.num_rows:
            yield writing.write_part(self.root, fresh, self.partition, self.vectors)
