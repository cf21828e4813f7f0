"""The table of an evaluation: measurements are added as they are made, and never made twice."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from matlake.regress.transfer.measurement import SCHEMA, Measurement, from_table, to_table
from matlake.store import delta
from matlake.store.lake import Lake

_PARTITION = "evaluation"


class Ledger:
    """The measurements of one evaluation, in the Delta table ``evaluations`` of a lake.

    Several processes may add to it at once: what two of them have measured is kept once.
    """

    def __init__(self, lake: Lake, name: str) -> None:
        """Open the table, or make it, and read what is there.

        Args:
            lake: The lake.
            name: Of the evaluation.

        Raises:
            LakeError: The table cannot be read.
        """
        self.root: Path = lake.path / "evaluations"
        if delta.open_table(self.root) is None:
            delta.create_table(self.root, SCHEMA.append(pa.field(_PARTITION, pa.string())), [_PARTITION])
        self._appender = delta.Appender(self.root, {_PARTITION: name}, "key")
        self._found: dict[str, Measurement] = {}
        for file in self._appender.files:
            for measurement in from_table(pq.read_table(file, partitioning=None)):
                self._found[measurement.key] = measurement

    def find(self, key: str) -> Measurement | None:
        """Return a measurement that has been made."""
        return self._found.get(key)

    def add(self, measurements: list[Measurement]) -> None:
        """Add measurements in one commit.

        Raises:
            LakeError: Other writers were faster many times in a row.
            CommitUnknownError: It is not known whether the commit was recorded.
        """
        if measurements:
            part = delta.write_part(self.root, to_table(measurements), self._appender.partition)
            self._appender.append(part)
            self._found |= {measurement.key: measurement for measurement in measurements}
