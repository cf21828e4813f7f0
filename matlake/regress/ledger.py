"""Tables of measurements: added to as they are made, and never made twice."""

from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, Protocol, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from matlake.store import delta

PARTITION: Final = "evaluation"


class Keyed(Protocol):
    """What a ledger holds."""

    @property
    def key(self) -> str:
        """What was measured, on which data: equal keys are never measured twice."""


M = TypeVar("M", bound=Keyed)


class Ledger(Generic[M]):
    """The measurements of one evaluation, a partition of a Delta table of a lake.

    Several processes may add to it at once: what two of them have measured is kept once.
    """

    def __init__(
        self,
        root: Path,
        name: str,
        schema: pa.Schema,
        to_table: Callable[[list[M]], pa.Table],
        from_table: Callable[[pa.Table], list[M]],
    ) -> None:
        """Open the table, or make it, and read what is there.

        Args:
            root: Folder of the table.
            name: Of the evaluation.
            schema: Of a measurement, ``key`` among it.
            to_table: From measurements to rows.
            from_table: From rows to measurements.

        Raises:
            LakeError: The table cannot be read.
        """
        self.root = root
        self._to_table = to_table
        if delta.open_table(root) is None:
            delta.create_table(root, schema.append(pa.field(PARTITION, pa.string())), [PARTITION])
        self._appender = delta.Appender(root, {PARTITION: name}, "key")
        self._found: dict[str, M] = {}
        for file in self._appender.files:
            self._keep(from_table(pq.read_table(file, partitioning=None)))

    def find(self, key: str) -> M | None:
        """Return a measurement that has been made."""
        return self._found.get(key)

    def add(self, measurements: list[M]) -> None:
        """Add measurements in one commit.

        Raises:
            LakeError: Other writers were faster many times in a row.
            CommitUnknownError: It is not known whether the commit was recorded.
        """
        if measurements:
            part = delta.write_part(self.root, self._to_table(measurements), self._appender.partition)
            self._appender.append(part)
            self._keep(measurements)

    def _keep(self, measurements: list[M]) -> None:
        self._found |= {measurement.key: measurement for measurement in measurements}
