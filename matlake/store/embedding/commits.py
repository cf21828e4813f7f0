"""Commits of a run: one takes the parts of some seconds, and small parts become one before it.

A commit takes milliseconds to be synced, and the log that each reader reads grows by it; so does the number of files
with each part. A run that is killed loses the work of those seconds beside the shards in flight.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Final

import pyarrow as pa

from matlake.store.embedding.targets import KEY, Model, Target
from matlake.store.storage.parquet import read_schema, read_table
from matlake.store.tables import writing

COMMIT_SECONDS: Final = 10.0
"""Parts wait no longer than this for their commit, as long as others come."""

COMMIT_BYTES: Final = 256 << 20
"""Nor if they are larger than this."""

SMALL_BYTES: Final = 2 << 20
"""Parts below this size are merged: writing them once more costs little beside what they took to make."""

_MOST_FAILURES: Final = 65_536


class Commits:
    """Parts and failures that wait for their commit."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Wait for the first.

        Args:
            clock: Returns seconds.
        """
        self._clock = clock
        self._parts: dict[Target, list[writing.Part]] = {}
        self._failures: dict[Model, list[pa.Table]] = {}
        self._since: float | None = None

    def add(self, target: Target, part: writing.Part) -> None:
        """Take a part that no commit names yet."""
        self._parts.setdefault(target, []).append(part)

    def reject(self, model: Model, keys: pa.ChunkedArray, reasons: pa.Array) -> None:
        """Take contents that an encoder cannot take: their keys and the reasons, string [n]."""
        self._failures.setdefault(model, []).append(pa.table({KEY: keys, "reason": reasons}))

    @property
    def is_due(self) -> bool:
        """Whether something has waited for long, or much has gathered."""
        if self._since is None and (self._parts or self._failures):
            self._since = self._clock()
        size = sum(part.size for parts in self._parts.values() for part in parts)
        failures = sum(table.num_rows for tables in self._failures.values() for table in tables)
        waited = 0.0 if self._since is None else self._clock() - self._since
        return waited >= COMMIT_SECONDS or size >= COMMIT_BYTES or failures >= _MOST_FAILURES

    def make(self) -> int:
        """Commit what waits; return the number of vectors added.

        Raises:
            LakeError: Other writers were faster many times in a row.
            CommitUnknownError: It is not known whether a commit was recorded.
        """
        added = 0
        while self._parts:
            target, parts = self._parts.popitem()
            added += target.vectors.append(list(_merged(target, parts)))
        while self._failures:
            model, tables = self._failures.popitem()
            part = writing.write_part(model.failures.root, pa.concat_tables(tables), model.failures.partition)
            model.failures.append([part])
        self._since = None
        return added

    def discard(self) -> None:
        """Remove the parts that wait."""
        for target, parts in self._parts.items():
            writing.discard(target.vectors.root, parts)


def _merged(target: Target, parts: Sequence[writing.Part]) -> Iterator[writing.Part]:
    """Yield the parts; those that are small as one."""
    root = target.vectors.root
    for is_small, group in groupby(sorted(parts, key=lambda part: part.size), lambda part: part.size < SMALL_BYTES):
        some = list(group)
        if not is_small or len(some) == 1:
            yield from some
            continue
        tables = (read_table(root / part.path) for part in some)
        schema = read_schema(root / some[0].path)
        yield writing.write_stream(root, schema, tables, target.vectors.partition, target.vectors.vectors)
        writing.discard(root, some)
