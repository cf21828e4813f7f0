"""Tables of measurements: added to as they are made, and never made twice."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from matlake.store import delta

PARTITION: Final = "evaluation"

_WRITE_SECONDS: Final = 5.0
"""Work that a killed run may lose. Each commit to the table takes time, and makes the next one take more."""


@dataclass(frozen=True)
class Keyed:
    """What a ledger holds: its fields are columns, ``features``, ``parameters`` and ``predictions`` among them.

    Attributes:
        key: Says what was measured, on which data: equal keys are never measured twice.
    """

    key: str


M = TypeVar("M", bound=Keyed)


def to_table(measurements: Sequence[Keyed], schema: pa.Schema) -> pa.Table:
    """Return measurements as the rows of a table: features are joined, parameters become JSON."""
    rows = []
    for measurement in measurements:
        row: dict[str, Any] = asdict(measurement)
        row |= {"features": ",".join(row["features"]), "parameters": json.dumps(row["parameters"], sort_keys=True)}
        rows.append(row)
    return pa.Table.from_pylist(rows, schema=schema)


def from_table(table: pa.Table, schema: pa.Schema, kind: type[M]) -> list[M]:
    """Return the rows of a table as measurements of a kind."""
    found = []
    for row in table.select(schema.names).to_pylist():
        row["features"] = tuple(row["features"].split(",")) if row["features"] else ()
        row["parameters"] = json.loads(row["parameters"])
        row["predictions"] = tuple(row["predictions"] or ())
        found.append(kind(**row))
    return found


class Ledger(Generic[M]):
    """The measurements of one evaluation, a partition of a Delta table of a lake.

    Several processes may add to it at once: what two of them have measured is kept once.
    """

    def __init__(self, root: Path, name: str, schema: pa.Schema, kind: type[M]) -> None:
        """Open the table, or make it, and read what is there.

        Args:
            root: Folder of the table.
            name: Of the evaluation.
            schema: Of a measurement.
            kind: Of the measurements.

        Raises:
            LakeError: The table cannot be read.
        """
        self.root = root
        self._schema = schema
        if delta.open_table(root) is None:
            delta.create_table(root, schema.append(pa.field(PARTITION, pa.string())), [PARTITION])
        self._appender = delta.Appender(root, {PARTITION: name}, "key")
        self._found: dict[str, M] = {}
        self._unwritten: list[M] = []
        self._written = time.monotonic()
        for file in self._appender.files:
            found = from_table(pq.read_table(file, partitioning=None), schema, kind)
            self._found |= {measurement.key: measurement for measurement in found}

    def find(self, key: str) -> M | None:
        """Return a measurement that has been made."""
        return self._found.get(key)

    def add(self, measurement: M, *, at_once: bool = False) -> None:
        """Add a measurement; write it down, and those before it, at once or when the last time is a while ago.

        Raises:
            LakeError: Other writers were faster many times in a row.
            CommitUnknownError: It is not known whether the commit was recorded.
        """
        self._found[measurement.key] = measurement
        self._unwritten.append(measurement)
        if at_once or time.monotonic() - self._written > _WRITE_SECONDS:
            self.write()

    def write(self) -> None:
        """Write down in one commit what has been added.

        Raises:
            LakeError: See ``add``.
            CommitUnknownError: Likewise.
        """
        if self._unwritten:
            part = delta.write_part(self.root, to_table(self._unwritten, self._schema), self._appender.partition)
            self._appender.append(part)
        self._unwritten, self._written = [], time.monotonic()
