"""What is left to embed: contents that have no vector and no failure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import duckdb
import pyarrow as pa

from matlake.encoders.card import InputKind
from matlake.encoders.rejections import NO_CRYSTAL
from matlake.store.content_keys import STORED_KEYS, row_key
from matlake.store.embedding.job_shard import JobShard
from matlake.store.embedding.places import BATCH_ROWS, LACKS, ROW_BITS, Places
from matlake.store.embedding.targets import KEY, Model, Target
from matlake.store.lake import Lake
from matlake.store.limits import small_memory
from matlake.store.parquet_rows import parquet_keys, parquet_rows
from matlake.store.pure_reads import check_predicate
from matlake.store.quoting import literal
from matlake.store.sql import connect, not_a_predicate
from matlake.store.tables import writing
from matlake.store.tables.parts import LivePart
from matlake.store.views import property_columns

_FAILURES: Final = pa.schema([(KEY, pa.string()), ("reason", pa.string())])


@dataclass(frozen=True)
class Selection:
    """Which rows a run takes.

    Attributes:
        parts: Dataset -> its parts.
        where: Predicate over ``materials``; None for all rows.
        shard: Take the contents of this shard alone; None for all.
    """

    parts: dict[str, list[LivePart]]
    where: str | None = None
    shard: JobShard | None = None


class Pending:
    """What of the selected rows is to be embedded: each content once, whatever the number of rows that hold it.

    DuckDB compares the rows with what the lake holds, once for each target, and spills what does not fit into little
    memory; its connection is closed before anything is encoded.

    Attributes:
        targets: The targets by the kind of input that their encoders take.
        places: Kind of input -> where the contents stand that some target of that kind lacks.
        selected: Rows selected for each target, added up.
        failed: Of them, those that the encoder cannot take, as far as the lake knows.
    """

    def __init__(self, lake: Lake, targets: Sequence[Target], selection: Selection) -> None:
        """Select, and record rows without a crystal as failures of encoders that take crystals.

        Raises:
            QueryError: ``where`` is not a predicate over ``materials``.
        """
        self.targets: dict[InputKind, list[Target]] = {}
        for target in targets:
            self.targets.setdefault(target.model.kind, []).append(target)
        self.places: dict[InputKind, Places] = {}
        self.selected = self.failed = 0
        try:
            views = None if selection.where else frozenset({"materials"})
            with connect(lake, views, memory=small_memory()) as connection:
                self._select(lake, connection, selection)
        except BaseException:
            self.close()
            raise

    @property
    def vectors(self) -> int:
        """Number of vectors that are pending."""
        return sum(places.vectors for places in self.places.values())

    def close(self) -> None:
        """Remove temporary files."""
        for places in self.places.values():
            places.close()

    def _select(self, lake: Lake, connection: duckdb.DuckDBPyConnection, selection: Selection) -> None:
        try:
            check_predicate(connection, selection.where)
            _create_selected(lake, connection, selection)
            for kind, targets in self.targets.items():
                ((rows,),) = connection.execute(f"SELECT count({kind}) FROM selected").fetchall()
                self.selected += len(targets) * int(rows)
                for model in dict.fromkeys(target.model for target in targets):
                    self._count_failed(connection, model)
                self.places[kind] = _places(connection, kind, targets)
        except duckdb.Error as error:
            if selection.where is None:
                raise
            raise not_a_predicate(selection.where, error) from error

    def _count_failed(self, connection: duckdb.DuckDBPyConnection, model: Model) -> None:
        """Count rows that an encoder cannot take; record those that have no crystal."""
        layers = sum(target.model is model for target in self.targets[model.kind])
        rejected = parquet_keys(connection, model.failures.files)
        ((rows,),) = connection.execute(
            f"SELECT count(*) FROM selected AS s SEMI JOIN {rejected} AS r ON s.{model.kind} = r.{KEY}"
        ).fetchall()
        if model.kind is InputKind.CRYSTAL:
            lacking = connection.sql(
                f"SELECT s.crystal AS {KEY}, coalesce(crystal_error, {literal(NO_CRYSTAL)}) AS reason "
                f"FROM selected AS s ANTI JOIN {rejected} AS r ON s.crystal = r.{KEY} "
                "WHERE NOT is_crystal AND s.crystal IS NOT NULL"
            )
            rows += _reject(model, lacking.to_arrow_reader(BATCH_ROWS))
        self.failed += layers * int(rows)


def _reject(model: Model, failures: pa.RecordBatchReader) -> int:
    """Record failures; return their number."""
    batches = (pa.Table.from_batches([batch]).cast(_FAILURES) for batch in failures if batch.num_rows)
    first = next(batches, None)
    if first is None:
        return 0

    def tables() -> Iterator[pa.Table]:
        yield first
        yield from batches

    part = writing.write_stream(model.failures.root, _FAILURES, tables(), model.failures.partition)
    rows = part.rows
    model.failures.append([part])
    return rows


def _create_selected(lake: Lake, connection: duckdb.DuckDBPyConnection, selection: Selection) -> None:
    """Make the view of the selected rows: ``place``, a key for each kind of input, ``is_crystal``, ``crystal_error``.

    A key is null where the content is another shard's.
    """
    properties = property_columns(lake)
    # the columns that a predicate may name: those of all datasets
    connection.execute("CREATE TEMP TABLE every_column AS SELECT * FROM materials LIMIT 0")
    rows = []
    for number, (dataset, parts) in enumerate(selection.parts.items()):
        if not parts:
            continue
        keys = ", ".join(f"{_key(kind, dataset, selection.shard)} AS {kind}" for kind in STORED_KEYS)
        rows.append(
            f"SELECT {number << ROW_BITS} + source_row AS place, {keys}, crystal_hash IS NOT NULL AS is_crystal, "
            f"crystal_error FROM (SELECT {literal(dataset)} AS dataset, * {properties.replacements(dataset)} "
            f"FROM {parquet_rows(connection, [part.path for part in parts])} WHERE import_error IS NULL "
            "UNION ALL BY NAME SELECT * FROM every_column "
            # files of compositions lack them
            "UNION ALL BY NAME SELECT NULL::VARCHAR AS crystal_hash, NULL::VARCHAR AS crystal_error WHERE false) "
            f"WHERE ({selection.where or 'true'}\n)"
        )
    nothing = ", ".join(f"NULL::VARCHAR AS {kind}" for kind in STORED_KEYS)
    rows.append(f"SELECT 0 AS place, {nothing}, false AS is_crystal, NULL::VARCHAR AS crystal_error WHERE false")
    connection.execute(f"CREATE TEMP VIEW selected AS {' UNION ALL '.join(rows)}")


def _key(kind: InputKind, dataset: str, shard: JobShard | None) -> str:
    key = row_key(kind, literal(dataset))
    return key if shard is None else f"CASE WHEN {shard.holds(kind)} THEN {key} END"


def _places(connection: duckdb.DuckDBPyConnection, kind: InputKind, targets: Sequence[Target]) -> Places:
    """Return where the contents stand that some of the targets lack."""
    contents = f"SELECT {kind} AS {KEY}, place FROM selected WHERE {kind} IS NOT NULL"
    if kind is InputKind.CRYSTAL:
        contents += " AND is_crystal"
    connection.execute("CREATE OR REPLACE TEMP TABLE lacking (place BIGINT, n_rows BIGINT, target USMALLINT)")
    # one after the other, so that one join at a time has to fit into the memory
    for number, target in enumerate(targets):
        done = parquet_keys(connection, target.vectors.files)
        rejected = parquet_keys(connection, target.model.failures.files)
        connection.execute(
            f"INSERT INTO lacking SELECT min(place), count(*), {number} FROM ({contents}) AS c "
            f"ANTI JOIN {done} AS d USING ({KEY}) ANTI JOIN {rejected} AS r USING ({KEY}) GROUP BY {KEY}"
        )
    lacks = ", ".join(f"bool_or(target = {number}) AS {LACKS}{number}" for number in range(len(targets)))
    ordered: Any = connection.sql(
        f"SELECT place, any_value(n_rows) AS n_rows, {lacks} FROM lacking GROUP BY place ORDER BY place"
        if len(targets) > 1
        else f"SELECT place, n_rows, true AS {LACKS}0 FROM lacking ORDER BY place"
    )
    return Places(ordered.to_arrow_reader(BATCH_ROWS))
