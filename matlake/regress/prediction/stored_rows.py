"""Rows of the lake as a head predicts them: from stored vectors, in blocks of bounded size."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias

import duckdb
import numpy as np
import pyarrow as pa

from matlake.encoders.card import InputKind
from matlake.encoders.engine import RAY, Engine
from matlake.errors import HeadError
from matlake.regress.features.columns import read_compositions, read_crystals
from matlake.regress.features.feature import Feature, columns_of, layers_of
from matlake.regress.features.feature_reader import NOT_EMBEDDED, FeatureReader, Lacking
from matlake.regress.features.own_columns import check_columns, feature_name, selected_columns
from matlake.regress.heads.storage import load_head
from matlake.regress.prediction.opened_head import CHUNK_ROWS, OpenedHead
from matlake.regress.prediction.prediction_columns import PredictionColumns
from matlake.store.content_keys import CONTENT_KEYS, key_columns, row_key
from matlake.store.damage import verify_parts
from matlake.store.lake import Lake
from matlake.store.predictions import digest_of_head, shown_name
from matlake.store.pure_reads import check_predicate
from matlake.store.quoting import identifier, literal
from matlake.store.shared_lake import open_sent, to_send
from matlake.store.sql import not_a_predicate

CHOSEN: Final = "chosen"
"""Temporary table of the selected rows: ``row`` from 0, ``dataset``, ``material_id``, ``formula``, content hashes, and
the head's columns, each under its name as a feature."""

BLOCK_BYTES: Final = 128 << 20
"""Features of a block."""

MOST_ROWS: Final = 65_536
FEWEST_ROWS: Final = 4096

_HERE: Final = Engine()
_Numbered: TypeAlias = tuple[int, pa.Table]


@dataclass(frozen=True)
class Block:
    """Rows that were predicted together.

    Attributes:
        materials: The n rows, as ``CHOSEN`` holds them.
        predicted: What is predicted for them, for each target of the head.
        embeddable: Places of rows that lack nothing but an embedding.
    """

    materials: pa.Table
    predicted: list[PredictionColumns]
    embeddable: frozenset[int]


@dataclass(frozen=True)
class StoredRows:
    """Selected rows of the lake, and the head that predicts them.

    Attributes:
        connection: Holds the views of the lake, and the table ``CHOSEN``.
        head: The head, whose encoders are not open.
        features: Reads its features.
        lake: The lake.
        engine: What predicts: this thread, or actors of Ray.
    """

    connection: duckdb.DuckDBPyConnection
    head: OpenedHead
    features: FeatureReader
    lake: Lake
    engine: Engine

    def count(self, table: str = CHOSEN) -> int:
        """Return the number of rows of a table."""
        return int(self.connection.execute(f"SELECT count(*) FROM {table}").fetchall()[0][0])

    def blocks(self, table: str = CHOSEN, seed: int | None = None) -> Iterator[Block]:
        """Predict the rows of a table, block by block. Memory does not grow with their number.

        Args:
            table: Table like ``CHOSEN``. Rows that are deleted from it before their block comes are left out.
            seed: Take the blocks in random order, so that two processes rarely do the same; by default in order.
        """
        selected = self._selected(table, seed)
        if self.engine.name != RAY:
            yield from map(self.predict, selected)
            return
        names = tuple(head.card.name for head in self.head.heads)
        opener = RemoteHead(to_send(self.lake), names, tuple(digest_of_head(self.lake, name) for name in names))
        with closing(self.engine.run_on_ray(enumerate(selected), opener)) as done:
            yield from in_order(done)

    def _selected(self, table: str, seed: int | None) -> Iterator[pa.Table]:
        """Yield the rows of blocks, which the table ``selection`` then holds."""
        (last,) = self.connection.execute(f"SELECT coalesce(max(row) + 1, 0) FROM {table}").fetchall()[0]
        size = min(MOST_ROWS, max(FEWEST_ROWS, BLOCK_BYTES // (4 * self.features.dim)))
        starts = np.arange(0, last, size)
        for start in starts if seed is None else np.random.default_rng(seed).permutation(starts):
            self.connection.execute(
                "CREATE OR REPLACE TEMP TABLE selection AS "
                f"SELECT row_number() OVER (ORDER BY row) - 1 AS row, * EXCLUDE (row) FROM {table} "
                f"WHERE row >= {start} AND row < {start + size}"
            )
            materials = self.connection.sql("SELECT * FROM selection ORDER BY row").to_arrow_table()
            if materials.num_rows:
                yield materials

    def predict(self, materials: pa.Table) -> Block:
        """Predict the rows of the table ``selection``."""
        compositions = read_compositions(self.connection)
        x, lacking = self.features.read(
            self.connection, materials, compositions, lambda: read_crystals(self.connection)
        )
        reasons: list[str | None] = [None] * materials.num_rows
        lasting: set[int] = set()
        for one in lacking:
            reasons[one.row] = reasons[one.row] or _reason(one)
            if not one.for_now:
                reasons[one.row] = one.reason
                lasting.add(one.row)
        predicted = [PredictionColumns.empty(list(reasons), head) for head in self.head.heads]
        rows = np.flatnonzero([reason is None for reason in reasons])
        elements = compositions.elements()
        for start in range(0, len(rows), CHUNK_ROWS):
            some = rows[start : start + CHUNK_ROWS]
            known = [elements[row] for row in some.tolist()]
            for head, columns in zip(self.head.heads, predicted, strict=True):
                columns.fill(some.tolist(), self.head.own_features(x[some], head), known, head)
        return Block(materials, predicted, frozenset(one.row for one in lacking) - lasting)


@dataclass(frozen=True)
class RemoteHead:
    """A head, for machines that read its features from the lake.

    Attributes:
        lake: The lake, by its full address.
        names: Name of the head, or of its members.
        digests: Of each.
    """

    lake: Lake
    names: tuple[str, ...]
    digests: tuple[str | None, ...]

    def open(self) -> tuple[Callable[[_Numbered], _Numbered], Callable[[_Numbered], tuple[int, Block]]]:
        """Open the lake and the head, and return the stages: the second predicts.

        Raises:
            LakeError: The lake is not there.
            HeadError: The head is damaged, or another one by now.
            MissingExtraError: ONNX Runtime is not installed.
        """
        lake = open_sent(self.lake)
        first, *others = (load_head(lake, name, threads=1) for name in self.names)
        if tuple(digest_of_head(lake, name) for name in self.names) != self.digests:
            raise HeadError(f"head {shown_name(self.names[0])} is being replaced by another process", "run again")
        head = OpenedHead(first, {}, tuple(others))
        rows = StoredRows(lake.connect(), head, FeatureReader.open(lake, head.features), lake, Engine())

        def predict(numbered: _Numbered) -> tuple[int, Block]:
            number, materials = numbered
            rows.connection.register("sent", materials)
            rows.connection.execute("CREATE OR REPLACE TEMP TABLE selection AS FROM sent")
            rows.connection.unregister("sent")
            return number, rows.predict(materials)

        return (lambda numbered: numbered), predict


def in_order(numbered: Iterable[tuple[int, Block]]) -> Iterator[Block]:
    """Yield blocks in the order of their numbers, which count from 0."""
    waiting: dict[int, Block] = {}
    following = 0
    for number, block in numbered:
        waiting[number] = block
        while following in waiting:
            yield waiting.pop(following)
            following += 1


def _reason(lacking: Lacking) -> str:
    return f"not embedded with {lacking.feature}" if lacking.reason == NOT_EMBEDDED else lacking.reason


@contextmanager
def open_rows(
    lake: Lake, head: OpenedHead, dataset: str | None, where: str | None, engine: Engine = _HERE
) -> Iterator[StoredRows]:
    """Select rows of the lake as it is at one moment.

    Args:
        lake: The lake.
        head: The head; its encoders were compared with those of the lake.
        dataset: Only this dataset.
        where: Only rows of ``materials`` that this SQL predicate selects.
        engine: What predicts.

    Raises:
        LakeError: There is no such dataset.
        QueryError: ``where`` is not a predicate over ``materials``.
        HeadError: No row has a crystal, and the head needs them; none is embedded; or none has a value of a column that
            the head takes.
    """
    if dataset is not None:
        lake.check_dataset(dataset)
    features = head.features
    datasets = lake.dataset_names() if dataset is None else [dataset]
    verify_parts(lake, datasets, [feature.partition for feature in layers_of(features)])
    with lake.connect() as connection:
        check_columns(connection, head.columns, HeadError, shown_name(head.head.card.name))
        _choose(connection, dataset, where, features)
        rows = StoredRows(connection, head, FeatureReader.open(lake, features), lake, engine)
        rows.features.check(connection, CHOSEN, HeadError)
        for feature, descriptor in zip(features, rows.features.descriptors, strict=True):
            if descriptor is None and not feature.column:
                _check_embedded(rows, feature)
        yield rows


def _choose(
    connection: duckdb.DuckDBPyConnection, dataset: str | None, where: str | None, features: Sequence[Feature]
) -> None:
    own = columns_of(features)
    beside = "JOIN main.materials AS m USING (dataset, material_id)" if own else ""
    contents = [f"c.{key}" for key in key_columns(feature.input for feature in features)]
    conditions = [*([] if dataset is None else [f"dataset = {literal(dataset)}"]), f"({where or 'true'}\n)"]
    try:
        check_predicate(connection, where)
        connection.execute(
            f"CREATE TEMP TABLE {CHOSEN} AS "
            "SELECT row_number() OVER (ORDER BY c.dataset, c.material_id) - 1 AS row, "
            f"c.dataset, c.material_id, c.formula, {', '.join([*contents, *selected_columns(own, 'm.')])} "
            f"FROM (SELECT dataset, material_id FROM materials WHERE {' AND '.join(conditions)}) "
            f"JOIN internal.compositions AS c USING (dataset, material_id) {beside}"
        )
    except duckdb.Error as error:
        raise not_a_predicate(where, error) from error


def _check_embedded(rows: StoredRows, feature: Feature) -> None:
    """Raise HeadError where no selected row has a vector that it could have."""
    key = CONTENT_KEYS[feature.input]
    ((embedded, embeddable),) = rows.connection.execute(
        f"SELECT EXISTS (SELECT 1 FROM {CHOSEN} AS s JOIN internal.{identifier(feature.feature)} AS e "
        f"ON s.{key} = e.content_hash), EXISTS (SELECT 1 FROM {CHOSEN} AS s WHERE s.{key} IS NOT NULL AND NOT EXISTS "
        "(SELECT 1 FROM failures AS f WHERE f.dataset = s.dataset AND f.material_id = s.material_id "
        f"AND f.encoder = {literal(feature.encoder)} AND f.stage = 'embed'))"
    ).fetchall()
    if embeddable and not embedded:
        raise HeadError(
            f"none of the {rows.count():,} rows is embedded with {feature.feature}, which head "
            f"{shown_name(rows.head.head.card.name)} needs",
            feature.remedy,
        )


def content_of(head: OpenedHead) -> InputKind:
    """Return what a head's features see: materials by their ids if one of them does; else crystals if one does."""
    seen = {feature.input for feature in head.features}
    kinds = (InputKind.EXTERNAL, InputKind.CRYSTAL)
    return next((kind for kind in kinds if kind in seen), InputKind.COMPOSITION)


def content_key(head: OpenedHead, rows: str) -> str:
    """Return the expression over rows of ``CHOSEN`` that a head's predictions are keyed by.

    Args:
        head: The head.
        rows: Alias of the rows, with a dot.
    """
    numbers = [f"{rows}{identifier(feature_name(column))}" for column in head.columns]
    return row_key(content_of(head), f"{rows}dataset", rows, numbers)
