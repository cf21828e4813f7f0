"""The views of the contract, and those that readers of contents use."""

from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from matlake.encoders.card import EncoderCard, Layer
from matlake.errors import REPAIR, LakeError
from matlake.store.column_names import GEOMETRY_COLUMNS, MATERIAL_COLUMNS
from matlake.store.content_keys import CONTENT_KEYS, ROW_HASH, row_key
from matlake.store.folders import LakeFolders
from matlake.store.parquet_rows import parquet_rows
from matlake.store.predictions import NO_PREDICTIONS, VIEW, prediction_selects
from matlake.store.property_columns import Kinds, PropertyColumns, property_kinds
from matlake.store.quoting import dataset_rows, identifier, literal, rows_name
from matlake.store.snapshots import shared_snapshot_or_warn, snapshot_or_warn
from matlake.store.tables import delta
from matlake.store.tables.parts import LivePart, by_partition, partition_key, sound

if TYPE_CHECKING:
    import duckdb

_NO_MATERIALS = (
    "SELECT NULL::VARCHAR AS dataset, NULL::VARCHAR AS material_id, NULL::VARCHAR AS formula, "
    "NULL::VARCHAR[] AS elements, NULL::INTEGER AS nelements, NULL::INTEGER AS nsites WHERE false"
)
_NO_COMPOSITIONS = (
    "SELECT NULL::VARCHAR AS dataset, NULL::VARCHAR AS material_id, NULL::BIGINT AS source_row, "
    "NULL::VARCHAR AS formula, NULL::VARCHAR AS composition_hash, NULL::VARCHAR AS crystal_hash, "
    "NULL::VARCHAR AS row_hash, NULL::SMALLINT[] AS atomic_numbers, NULL::DOUBLE[] AS fractions WHERE false"
)
_NO_EMBEDDINGS = (
    "SELECT NULL::VARCHAR AS dataset, NULL::VARCHAR AS material_id, NULL::VARCHAR AS encoder, "
    "NULL::VARCHAR AS layer, NULL::FLOAT[] AS vector WHERE false"
)
_NO_FAILURES = (
    "SELECT NULL::VARCHAR AS dataset, NULL::VARCHAR AS material_id, NULL::BIGINT AS source_row, "
    "NULL::VARCHAR AS formula, NULL::VARCHAR AS stage, NULL::VARCHAR AS encoder, NULL::VARCHAR AS head, "
    "NULL::VARCHAR AS reason WHERE false"
)
_NO_UNREAD_CELLS = (
    "SELECT NULL::VARCHAR AS dataset, NULL::VARCHAR AS material_id, NULL::BIGINT AS source_row, "
    "NULL::VARCHAR AS property, NULL::VARCHAR AS text WHERE false"
)
_CRYSTAL_TYPES = {
    "crystal_hash": "VARCHAR",
    "site_atomic_numbers": "SMALLINT[]",
    "lattice_A": "DOUBLE[]",
    "fractional_positions": "DOUBLE[]",
}
_LATER_TYPES = {
    "crystal_error": "VARCHAR",
    "unread_cells": "STRUCT(property VARCHAR, text VARCHAR)[]",
}
"""Columns that datasets of earlier versions, or those of compositions, lack."""

_INTERNAL_COLUMNS = (
    "source_row",
    "composition_hash",
    "crystal_hash",
    "row_hash",
    "crystal_error",
    "atomic_numbers",
    "fractions",
    "import_error",
    "unread_cells",
)
_NOT_PROPERTIES = MATERIAL_COLUMNS.union(_INTERNAL_COLUMNS)
_MATERIALS: Final = 'main."materials"'
_COMPOSITIONS: Final = 'internal."compositions"'
_PREDICTIONS: Final = f'internal."{VIEW}"'
_VECTORS: Final = pa.schema([("content_hash", pa.string()), ("vector", pa.list_(pa.float32()))])
_REASONS: Final = pa.schema([("content_hash", pa.string()), ("reason", pa.string())])

UNREAD_CELLS = "unread_cells"
"""The view of cells that are null because they hold another kind of value than their column; a dataset of that name,
which 0.1.0 allowed, takes its place."""


@dataclass(frozen=True)
class _View:
    """A view that can be made.

    Attributes:
        schema: Its schema.
        name: Its name.
        query: Returns what it selects; None where nothing of it can be read.
        needs: Views that it reads, as SQL names them.
        columns: Selects its columns and no rows, where their types do not depend on files.
    """

    schema: str
    name: str
    query: Callable[[], str | None]
    needs: tuple[str, ...] = ()
    columns: str = ""

    @property
    def qualified(self) -> str:
        """Its name in SQL."""
        return f"{self.schema}.{identifier(self.name)}"


@dataclass(frozen=True)
class ReadableDataset:
    """A dataset that can be read.

    Attributes:
        name: Its name.
        columns: Its columns.
        version: Of its table.
        kinds: The types of its properties.
        parts: Those that are sound.
    """

    name: str
    columns: pa.Schema
    version: int
    kinds: Kinds
    parts: list[LivePart]

    @property
    def has_geometry(self) -> bool:
        """Whether its table has the columns of crystals."""
        return all(column in self.columns.names for column in _CRYSTAL_TYPES)

    @property
    def properties(self) -> list[str]:
        """The names of its properties."""
        return [column for column in self.columns.names if column not in _NOT_PROPERTIES]


@dataclass(frozen=True)
class _Vectors:
    """The vectors of a layer.

    Attributes:
        card: The encoder.
        layer: The layer.
        parts: Whether sound or not.
    """

    card: EncoderCard
    layer: Layer
    parts: list[LivePart]

    @property
    def name(self) -> str:
        """The layer, as features name it."""
        return str(self.card.ref(self.layer.name))

    @property
    def qualified(self) -> str:
        """The view of contents and vectors."""
        return f"internal.{identifier(self.name)}"

    @property
    def materials(self) -> str:
        """What stands after FROM for the vectors ``e`` of materials ``m``."""
        key = CONTENT_KEYS[self.card.input]
        return f"{_COMPOSITIONS} AS m JOIN {self.qualified} AS e ON m.{key} = e.content_hash"


class Views:
    """The views of one moment of a lake; see ``sql.connect`` for those that are not in the contract.

    To make a view is to look at its files. So those are made that a statement names, and those that they read.
    """

    def __init__(self, lake: LakeFolders, connection: "duckdb.DuckDBPyConnection") -> None:
        """Take the snapshots, and make no view yet."""
        self._lake, self._connection = lake, connection
        self._datasets = list(readable_datasets(lake))
        self._properties = PropertyColumns.of({dataset.name: dataset.kinds for dataset in self._datasets})
        vectors, self._rejected = (
            by_partition(table.parts if table else ())
            for table in (shared_snapshot_or_warn(lake, root) for root in (lake.embeddings, lake.failures_table))
        )
        encoders = {dict(partition)["encoder"] for partition in (*vectors, *self._rejected)}
        self._cards = [registered.card for registered in lake.registered_encoders(encoders)]
        self._layers = [
            _Vectors(card, layer, vectors[partition])
            for card in self._cards
            for layer in card.layers
            if (partition := partition_key(embedding_partition(card, layer.name))) in vectors
        ]
        connection.execute("CREATE SCHEMA internal; CREATE SCHEMA embed")
        self._made: dict[str, bool] = {}
        self._views = {view.qualified: view for view in self._all()}

    def make(self, names: AbstractSet[str] | None = None, others: AbstractSet[str] = frozenset()) -> None:
        """Make views: all, or those that a statement names.

        Args:
            names: Their names in lower case, whatever their schema. All are made where one of the names is of no view,
                so that DuckDB's error can name what there is.
            others: Names that need not be views.
        """
        chosen = list(self._views.values())
        if names is not None and names - others <= {view.name.lower() for view in chosen}:
            for view in chosen:
                if view.name.lower() in names:
                    self._make(view)
            return
        with self._stand_ins():
            for view in chosen:
                self._make(view)

    @contextmanager
    def _stand_ins(self) -> Iterator[None]:
        """Put empty tables in the place of views that many views read, as DuckDB opens the files of each once more."""
        queries = {view: view.query() for view in self._views.values() if view.columns}
        replaced = {view: query for view, query in queries.items() if query is not None}
        self._made |= {view.qualified: query is not None for view, query in queries.items()}
        for view in replaced:
            self._connection.execute(f"CREATE TABLE {view.qualified} AS {view.columns}")
        yield
        for view, query in replaced.items():
            self._connection.execute(f"DROP TABLE {view.qualified}; CREATE VIEW {view.qualified} AS {query}")

    def _make(self, view: _View) -> None:
        """Make a view, unless it is there or nothing of it can be read, after those that it reads."""
        if view.qualified in self._made:
            return
        for needed in view.needs:
            self._make(self._views[needed])
        query = view.query()
        if query is not None:
            self._connection.execute(f"CREATE VIEW {view.qualified} AS {query}")
        self._made[view.qualified] = query is not None

    def _all(self) -> Iterator[_View]:
        names = self._names
        rows = tuple(dataset_rows(name) for name in names)
        views = view_names(names)
        for dataset in self._datasets:
            yield _View("internal", rows_name(dataset.name), partial(self._rows, dataset))
            yield _View("main", views[dataset.name], partial(_shown_dataset, dataset), (dataset_rows(dataset.name),))
        yield _View("main", "materials", self._materials, rows)
        yield _View("internal", "searchable", partial(self._materials, kept=frozenset(CONTENT_KEYS.values())), rows)
        yield _View("internal", "compositions", self._compositions, rows, _NO_COMPOSITIONS)
        for vectors in self._layers:
            columns = f"SELECT NULL::VARCHAR AS content_hash, NULL::FLOAT[{vectors.layer.dim}] AS vector WHERE false"
            yield _View("internal", vectors.name, partial(self._contents, vectors), columns=columns)
            default = [vectors.card.name] if vectors.layer.name == vectors.card.default_layer else []
            for name in (vectors.name, *default):
                yield _View("embed", name, partial(self._embedded, vectors), (_COMPOSITIONS, vectors.qualified))
        layers = [vectors.qualified for vectors in self._layers]
        yield _View("main", "embeddings", self._embeddings, (_COMPOSITIONS, *layers))
        yield _View("main", "failures", self._failures, (*rows, _COMPOSITIONS, _MATERIALS))
        yield _View("internal", VIEW, self._predictions, (_COMPOSITIONS, _MATERIALS))
        lower = [name.lower() for name in names]
        if VIEW not in lower:
            yield _View("main", VIEW, partial(str, f"FROM {_PREDICTIONS}"), (_PREDICTIONS,))
        if UNREAD_CELLS not in lower:
            yield _View("main", UNREAD_CELLS, self._unread_cells, rows)

    @property
    def _names(self) -> list[str]:
        return [dataset.name for dataset in self._datasets]

    def _rows(self, dataset: ReadableDataset) -> str:
        """Return all rows of a dataset.

        They have the columns of crystals in any case, null where the table has none: it may hold compositions only, or
        be older than structures.
        """
        absent = [
            f"NULL::{kind} AS {column}"
            for column, kind in (_CRYSTAL_TYPES | _LATER_TYPES).items()
            if column not in dataset.columns.names
        ]
        rows = f"SELECT {', '.join(['*', *absent])} FROM {self._read(dataset.parts, dataset.columns)}"
        others = "* EXCLUDE (row_hash)" if "row_hash" in dataset.columns.names else "*"  # a property of an older lake
        return f"SELECT {others}, {ROW_HASH} AS row_hash FROM ({rows})"

    def _materials(self, kept: AbstractSet[str] = frozenset()) -> str:
        hidden = tuple(column for column in (*_INTERNAL_COLUMNS, *GEOMETRY_COLUMNS) if column not in kept)
        return _union(
            [_NO_MATERIALS, *(_shown(name, hidden, self._properties.replacements(name)) for name in self._names)]
        )

    def _compositions(self) -> str:
        selects = [
            f"SELECT {literal(name)} AS dataset, material_id, source_row, formula, composition_hash, "
            f"crystal_hash, row_hash, atomic_numbers, fractions FROM {dataset_rows(name)} WHERE import_error IS NULL"
            for name in self._names
        ]
        return _union([_NO_COMPOSITIONS, *selects])

    def _contents(self, vectors: _Vectors) -> str | None:
        parts = sound(vectors.parts, verify=self._lake.verify)
        if not parts:
            return None
        return f"SELECT content_hash, vector::FLOAT[{vectors.layer.dim}] AS vector FROM {self._read(parts, _VECTORS)}"

    def _embedded(self, vectors: _Vectors) -> str | None:
        if not self._made[vectors.qualified]:
            return None
        return f"SELECT m.dataset, m.material_id, e.vector FROM {vectors.materials}"

    def _embeddings(self) -> str:
        selects = [
            f"SELECT m.dataset, m.material_id, {literal(vectors.card.name)} AS encoder, "
            f"{literal(vectors.layer.name)} AS layer, e.vector::FLOAT[] AS vector FROM {vectors.materials}"
            for vectors in self._layers
            if self._made[vectors.qualified]
        ]
        return _union([_NO_EMBEDDINGS, *selects])

    @cached_property
    def _predicted(self) -> tuple[list[str], list[str]]:
        columns = {column for dataset in self._datasets for column in dataset.columns.names}
        return prediction_selects(self._lake, self._connection, columns.difference(_INTERNAL_COLUMNS, GEOMETRY_COLUMNS))

    def _predictions(self) -> str:
        return _union([NO_PREDICTIONS, *self._predicted[0]])

    def _failures(self) -> str:
        selects = [_NO_FAILURES, *self._predicted[1]]
        selects += [
            f"SELECT {literal(name)} AS dataset, material_id, source_row, formula, 'import' AS stage, "
            f"NULL AS encoder, import_error AS reason FROM {dataset_rows(name)} WHERE import_error IS NOT NULL"
            for name in self._names
        ]
        for card in self._cards:
            rejected = self._rejected.get(partition_key(failure_partition(card)), [])
            parts = sound(rejected, verify=self._lake.verify)
            if parts:
                rows = self._read(parts, _REASONS)
                selects += [
                    f"SELECT {literal(name)} AS dataset, m.material_id, m.source_row, m.formula, 'embed' AS stage, "
                    f"{literal(card.name)} AS encoder, e.reason FROM {dataset_rows(name)} AS m "
                    f"JOIN {rows} AS e ON {row_key(card.input, literal(name))} = e.content_hash "
                    "WHERE m.import_error IS NULL"
                    for name in self._names
                ]
        return _union(selects)

    def _unread_cells(self) -> str:
        cells = [
            f"SELECT {literal(name)} AS dataset, material_id, source_row, cell.property AS property, cell.text AS text "
            f"FROM (SELECT material_id, source_row, unnest({UNREAD_CELLS}) AS cell FROM {dataset_rows(name)})"
            for name in self._names
        ]
        return _union([_NO_UNREAD_CELLS, *cells])

    def _read(self, parts: Iterable[LivePart], schema: pa.Schema) -> str:
        return parquet_rows(self._connection, [part.path for part in parts], schema)


def readable_datasets(lake: LakeFolders) -> Iterator[ReadableDataset]:
    """Yield the datasets whose log and at least one of whose parts are sound."""
    for name in lake.dataset_names():
        table = snapshot_or_warn(lake, lake.dataset(name))
        parts = delta.sound_parts(table, verify=lake.verify)
        if table is not None and parts:
            kinds = property_kinds(table.schema, _NOT_PROPERTIES)
            yield ReadableDataset(name, pa.schema(table.schema), table.version, kinds, parts)


def _shown_dataset(dataset: ReadableDataset) -> str:
    hidden = _INTERNAL_COLUMNS if dataset.has_geometry else (*_INTERNAL_COLUMNS, *GEOMETRY_COLUMNS)
    return _shown(dataset.name, hidden)


def _shown(dataset: str, hidden: tuple[str, ...], replacements: str = "") -> str:
    """Return the query of a dataset's materials, some of its columns left out or replaced."""
    return (
        f"SELECT {literal(dataset)} AS dataset, * EXCLUDE ({', '.join(hidden)}) {replacements} "
        f"FROM {dataset_rows(dataset)} WHERE import_error IS NULL"
    )


def _union(selects: Iterable[str]) -> str:
    return " UNION ALL BY NAME ".join(f"({select})" for select in selects)


def view_names(datasets: list[str]) -> dict[str, str]:
    """Return the view of each dataset: of its name, but for those that differ from an earlier one in capitals alone.

    No import makes two such names; lakes of 0.1.0 may have them.
    """
    views: dict[str, str] = {}
    for dataset in datasets:
        view, number = dataset, 1
        others = {other.lower() for other in datasets} - {dataset.lower()}
        while view.lower() in others.union(map(str.lower, views.values())):
            number += 1
            view = f"{dataset}_{number}"
        views[dataset] = view
    return views


def readable_view(lake: LakeFolders, connection: "duckdb.DuckDBPyConnection", dataset: str) -> str:
    """Return the view of one dataset.

    Raises:
        LakeError: It cannot be read.
    """
    views = connection.execute("SELECT schema_name, view_name FROM duckdb_views()").fetchall()
    made = {f"{schema}.{identifier(view)}" for schema, view in views}
    view = view_names([name for name in lake.dataset_names() if dataset_rows(name) in made]).get(dataset)
    if view is None:
        raise LakeError(f"dataset {dataset!r} cannot be read", REPAIR)
    return view


def property_columns(lake: LakeFolders) -> PropertyColumns:
    """Return the types that properties have in the datasets and in ``materials``."""
    tables = {name: snapshot_or_warn(lake, lake.dataset(name)) for name in lake.dataset_names()}
    return PropertyColumns.of(
        {name: property_kinds(table.schema, _NOT_PROPERTIES) for name, table in tables.items() if table is not None}
    )


def embedding_partition(card: EncoderCard, layer: str) -> dict[str, str]:
    """Return the partition of the embeddings table that holds an encoder's layer."""
    return {"encoder": card.name, "encoder_sha256": card.sha256, "layer": layer}


def failure_partition(card: EncoderCard) -> dict[str, str]:
    """Return the partition of the failures table that holds what an encoder rejects."""
    return {"encoder": card.name, "encoder_sha256": card.sha256}
