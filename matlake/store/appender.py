"""Appending to a partition of a Delta table, beside other writers."""

import time

import pyarrow as pa
import pyarrow.compute as pc

from matlake.errors import REPAIR, LakeError
from matlake.store import delta, writing
from matlake.store.storage.parquet import read_table
from matlake.store.storage.places import LakePath


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
        self.table = table
        self.files = delta.live_files(self.table, partition)
        self._known = {file.name for file in self.files}
        self._foreign: pa.Array = pa.array([], pa.string())

    def foreign_keys(self) -> pa.Array:
        """Return the keys that other writers have added since the snapshot."""
        with delta.asking_delta(self.root):
            self.table.update_incremental()
        new = [file for file in delta.live_files(self.table, self.partition) if file.name not in self._known]
        for file in new:
            try:
                keys = read_table(file, [self.key])[self.key]
            except (pa.ArrowException, OSError) as error:
                raise LakeError(f"cannot read {file}: {error}", REPAIR) from error
            self._foreign = pa.concat_arrays([self._foreign, *keys.chunks])
            self._known.add(file.name)
        return self._foreign

    def without_foreign(self, rows: pa.Table) -> pa.Table:
        """Return the rows whose keys no other writer has added since the snapshot."""
        foreign = self.foreign_keys()
        return rows.filter(pc.invert(pc.is_in(rows[self.key], value_set=foreign))) if len(foreign) else rows

    def append(self, part: writing.Part) -> int:
        """Commit a part of this partition, less the keys that others have added; return the number of rows added.

        Raises:
            LakeError: Other writers were faster many times in a row.
            CommitUnknownError: It is not known whether the commit was recorded.
        """
        application = "/".join(self.partition.values())
        for attempt in range(delta.COMMIT_ATTEMPTS):
            if len(self.foreign_keys()):
                written = read_table(self.root / part.path)
                fresh = self.without_foreign(written)
                if fresh.num_rows < written.num_rows:
                    (self.root / part.path).unlink()
                    if not fresh.num_rows:
                        return 0
                    part = writing.write_part(self.root, fresh, self.partition, self.vectors)
            hint = "run the same command again: what is there already is skipped"
            if delta.commit(self.root, self.table, [part], "append", application, hint):
                self._known.add((self.root / part.path).name)
                return part.rows
            time.sleep(delta.pause(attempt))
        raise LakeError(
            f"{delta.COMMIT_ATTEMPTS} commits to {self.root} in a row lost against other writers", "run again"
        )
