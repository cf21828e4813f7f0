"""What is left to embed: contents that have no vector, no failure, and are not under way already."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from matlake.encoders.card import InputKind
from matlake.encoders.rejections import NO_CRYSTAL
from matlake.store import writing
from matlake.store.content_keys import CONTENT_KEYS, row_key
from matlake.store.embedding.job_shard import JobShard
from matlake.store.embedding.targets import KEY, Model, Target
from matlake.store.lake import Lake
from matlake.store.parquet_rows import parquet_rows
from matlake.store.pure_reads import check_predicate
from matlake.store.quoting import literal
from matlake.store.sql import not_a_predicate
from matlake.store.storage.places import LakePath
from matlake.store.views import property_columns


@dataclass(frozen=True)
class Selection:
    """What one file of a dataset brings.

    Attributes:
        selected: Rows selected for each target, added up.
        failed: Of them, those that the encoder cannot take.
        pending: For each kind of input, the contents that some target of that kind lacks: ``source_row`` of a row that
            holds it, ascending; ``content_hash``; ``n_rows`` with this content; and for each of the kind's targets,
            in order, a Boolean column ``lacks_N``.
    """

    selected: int
    failed: int
    pending: dict[InputKind, pa.Table]

    @property
    def vectors(self) -> int:
        """Number of vectors that are pending."""
        return sum(
            pc.sum(contents[name]).as_py() or 0
            for contents in self.pending.values()
            for name in contents.column_names
            if name.startswith("lacks_")
        )


class Pending:
    """Keeps account of a run in DuckDB: one connection, in which a table for each target holds what it has.

    What is handed out counts as done from then on, so that contents that come again in another file or dataset are
    not embedded twice.

    Attributes:
        targets: The targets by the kind of input that their encoders take.
    """

    def __init__(self, lake: Lake, targets: Sequence[Target], shard: JobShard | None = None) -> None:
        """Read the keys that the lake holds for the targets.

        Args:
            lake: The lake.
            targets: The targets.
            shard: Take the contents of this shard alone.
        """
        self.targets: dict[InputKind, list[Target]] = {}
        for target in targets:
            self.targets.setdefault(target.model.kind, []).append(target)
        self._shard = shard
        self._properties = property_columns(lake)
        self._connection = lake.connect()
        self._done: dict[Target, str] = {}
        self._rejected: dict[Model, str] = {}
        try:
            # the columns that a predicate may name: those of all datasets
            self._connection.execute("CREATE TEMP TABLE every_column AS SELECT * FROM materials LIMIT 0")
            for target in targets:
                self._done[target] = self._table(f"done_{len(self._done)}", target.vectors.files)
                if target.model not in self._rejected:
                    name = f"rejected_{len(self._rejected)}"
                    self._rejected[target.model] = self._table(name, target.model.failures.files)
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def select(self, dataset: str, file: LakePath, where: str | None) -> Selection:
        """Select rows of a file of a dataset and take what is pending of them.

        Args:
            dataset: Name of the dataset.
            file: The file.
            where: Predicate over ``materials``; None for all rows.

        Raises:
            QueryError: ``where`` is not a predicate over ``materials``.
        """
        keys = ", ".join(f"{self._key(kind, dataset)} AS {kind}" for kind in CONTENT_KEYS)
        rows = (
            f"(SELECT {literal(dataset)} AS dataset, * {self._properties.replacements(dataset)} "
            f"FROM {parquet_rows(self._connection, [file])} WHERE import_error IS NULL "
            "UNION ALL BY NAME SELECT * FROM every_column "
            # files of compositions lack them
            "UNION ALL BY NAME SELECT NULL::VARCHAR AS crystal_hash, NULL::VARCHAR AS crystal_error WHERE false)"
        )
        statement = (
            f"SELECT source_row, {keys}, crystal_hash IS NOT NULL AS is_crystal, crystal_error FROM {rows} "
            f"WHERE ({where or 'true'}\n)"
        )
        try:
            check_predicate(self._connection, where)
            self._connection.execute(f"CREATE OR REPLACE TEMP TABLE selected AS {statement}")
        except duckdb.Error as error:
            raise not_a_predicate(where, error) from error
        self._reject_rows_without_crystal()
        failed = sum(
            len(self._layers(model)) * self._number(f"selected WHERE {model.kind} IN (FROM {rejected})")
            for model, rejected in self._rejected.items()
        )
        pending = {kind: self._take(kind) for kind in self.targets}
        selected = sum(self._number(f"selected WHERE {target.model.kind} IS NOT NULL") for target in self._done)
        return Selection(selected, failed, pending)

    def reject(self, model: Model, keys: pa.Array | pa.ChunkedArray, reasons: pa.Array) -> None:
        """Record contents that an encoder cannot take.

        Args:
            model: The encoder.
            keys: string [n], the contents.
            reasons: string [n].
        """
        failures = pa.table({KEY: keys, "reason": reasons})
        if failures.num_rows:
            self._connection.register("rejected_now", failures)
            self._connection.execute(f"INSERT INTO {self._rejected[model]} SELECT {KEY} FROM rejected_now")
            self._connection.unregister("rejected_now")
            model.failures.append(writing.write_part(model.failures.root, failures, model.failures.partition))

    def _key(self, kind: InputKind, dataset: str) -> str:
        """Return the expression of a row's key, which is null where the content is another shard's."""
        key = row_key(kind, literal(dataset))
        return key if self._shard is None else f"CASE WHEN {self._shard.holds(kind)} THEN {key} END"

    def _layers(self, model: Model) -> list[Target]:
        return [target for target in self.targets[model.kind] if target.model is model]

    def _reject_rows_without_crystal(self) -> None:
        for model, rejected in self._rejected.items():
            if model.kind is InputKind.CRYSTAL:
                keys = self._connection.sql(
                    f"SELECT crystal, coalesce(crystal_error, {literal(NO_CRYSTAL)}) AS reason FROM selected "
                    f"WHERE NOT is_crystal AND crystal IS NOT NULL AND crystal NOT IN (FROM {rejected})"
                ).to_arrow_table()
                self.reject(model, keys["crystal"], keys["reason"].combine_chunks())

    def _take(self, kind: InputKind) -> pa.Table:
        """Return what is pending of the selected rows for one kind of input, and count it as done."""
        lacks = [
            f"{KEY} NOT IN (FROM {self._done[target]} UNION ALL FROM {self._rejected[target.model]}) AS lacks_{n}"
            for n, target in enumerate(self.targets[kind])
        ]
        some = " OR ".join(f"lacks_{n}" for n in range(len(lacks)))
        self._connection.execute(
            "CREATE OR REPLACE TEMP TABLE pending AS "
            f"WITH contents AS (SELECT {kind} AS {KEY}, min(source_row) AS source_row, count(*) AS n_rows "
            f"FROM selected WHERE {kind} IS NOT NULL{' AND is_crystal' if kind is InputKind.CRYSTAL else ''} "
            f"GROUP BY {kind}) "
            f"SELECT *, {', '.join(lacks)} FROM contents WHERE {some}"
        )
        for n, target in enumerate(self.targets[kind]):
            self._connection.execute(f"INSERT INTO {self._done[target]} SELECT {KEY} FROM pending WHERE lacks_{n}")
        return self._connection.sql("SELECT * FROM pending ORDER BY source_row").to_arrow_table()

    def _table(self, name: str, files: list[LakePath]) -> str:
        source = (
            f"SELECT {KEY} FROM {parquet_rows(self._connection, files)}" if files else f"SELECT '' AS {KEY} WHERE false"
        )
        self._connection.execute(f"CREATE TEMP TABLE {name} AS {source}")
        return name

    def _number(self, rows: str) -> int:
        count: Any = self._connection.execute(f"SELECT count(*) FROM {rows}").fetchall()[0][0]
        return int(count)
