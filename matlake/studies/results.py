"""Tables of results: measurements are rows, added to as they are made, and never made twice."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import pyarrow as pa

from matlake.store.lake import Lake
from matlake.store.storage.parquet import read_table
from matlake.store.storage.places import LakePath
from matlake.store.tables import delta, writing
from matlake.store.tables.appender import Appender
from matlake.studies.measurement import Measurement

PARTITION: Final = "evaluation"

_WRITE_SECONDS: Final = 5.0
"""Work that a killed run may lose. Each commit to the table takes time, and makes the next one take more."""

_TYPES: Final[dict[str, pa.DataType]] = {
    **dict.fromkeys(("key", "target", "method", "features", "model", "parameters"), pa.string()),
    **dict.fromkeys(("split", "stage", "error"), pa.string()),
    **dict.fromkeys(("seed", "fit_rows", "tested_rows"), pa.int64()),
    "round": pa.int32(),
    **dict.fromkeys(("mae", "rmse", "q95", "mae_std", "outside_mae", "validation_mae", "seconds"), pa.float64()),
    **dict.fromkeys(("predictions", "lower", "upper", "scores"), pa.list_(pa.float32())),
    "material_ids": pa.list_(pa.string()),
}
"""Field of a measurement -> how a table stores it."""

_LISTS: Final = frozenset(name for name, kind in _TYPES.items() if pa.types.is_list(kind))


@dataclass(frozen=True)
class Schema:
    """What a study keeps of its measurements.

    Attributes:
        table: Folder of the Delta table, as ``Lake`` calls it.
        names: Columns in order, with a space between them; ``COLUMN=FIELD`` where the column is not named like the
            field of ``Measurement`` that it holds.
    """

    table: str
    names: str

    @cached_property
    def columns(self) -> dict[str, str]:
        """Column -> field of ``Measurement``."""
        pairs = (name.partition("=") for name in self.names.split())
        return {column: field or column for column, _, field in pairs}

    @property
    def arrow(self) -> pa.Schema:
        """Columns with their types."""
        return pa.schema([(column, _TYPES[field]) for column, field in self.columns.items()])

    def to_table(self, measurements: Sequence[Measurement]) -> pa.Table:
        """Return measurements as rows: features are joined, parameters become JSON."""
        rows = []
        for measurement in measurements:
            row: dict[str, Any] = {column: getattr(measurement, field) for column, field in self.columns.items()}
            row |= {"features": ",".join(row["features"]), "parameters": json.dumps(row["parameters"], sort_keys=True)}
            rows.append(row)
        return pa.Table.from_pylist(rows, schema=self.arrow)

    def from_table(self, table: pa.Table) -> list[Measurement]:
        """Return rows as measurements."""
        found = []
        for row in table.select(list(self.columns)).to_pylist():
            row["features"] = tuple(row["features"].split(",")) if row["features"] else ()
            row["parameters"] = json.loads(row["parameters"])
            known = {field: row[column] for column, field in self.columns.items()}
            found.append(Measurement(**known | {name: tuple(known[name] or ()) for name in _LISTS & known.keys()}))
        return found


class Results:
    """The measurements of one evaluation, a partition of a Delta table of a lake.

    Several processes may add to it at once: what two of them have measured is kept once.
    """

    def __init__(self, lake: Lake, schema: Schema, name: str) -> None:
        """Open the table, or make it, and read what is there.

        Args:
            lake: The lake.
            schema: What is kept of a measurement.
            name: Of the evaluation.

        Raises:
            LakeError: The table cannot be read.
        """
        lake.check_writable()
        self.root: LakePath = getattr(lake, schema.table)
        self._schema = schema
        if delta.open_table(self.root) is None:
            delta.create_table(self.root, schema.arrow.append(pa.field(PARTITION, pa.string())), [PARTITION])
        self._appender = Appender(self.root, {PARTITION: name}, "key", verify=True)
        self._found: dict[str, Measurement] = {}
        self._unwritten: list[Measurement] = []
        self._written = time.monotonic()
        for file in self._appender.files:
            found = schema.from_table(read_table(file))
            self._found |= {measurement.key: measurement for measurement in found}

    def find(self, key: str) -> Measurement | None:
        """Return a measurement that has been made."""
        return self._found.get(key)

    def add(self, measurement: Measurement, *, at_once: bool = False) -> None:
        """Add a measurement; write it with those before it, at once or when the last commit is a while ago.

        Raises:
            LakeError: Other writers were faster many times in a row.
            CommitUnknownError: It is not known whether the commit was recorded.
        """
        self._found[measurement.key] = measurement
        self._unwritten.append(measurement)
        if at_once or time.monotonic() - self._written > _WRITE_SECONDS:
            self.write()

    def write(self) -> None:
        """Write in one commit what has been added.

        Raises:
            LakeError: See ``add``.
            CommitUnknownError: Likewise.
        """
        if self._unwritten:
            part = writing.write_part(self.root, self._schema.to_table(self._unwritten), self._appender.partition)
            self._appender.append([part])
        self._unwritten, self._written = [], time.monotonic()
