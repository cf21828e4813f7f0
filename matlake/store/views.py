"""The views of the contract, and those that readers of contents use."""

from collections.abc import Iterable

import duckdb

from matlake.encoders.card import EncoderCard
from matlake.errors import REPAIR, LakeError
from matlake.materials.crystal import COLUMNS
from matlake.store import delta
from matlake.store.content_keys import CONTENT_KEYS, row_key
from matlake.store.folders import LakeFolders
from matlake.store.parquet_rows import parquet_rows
from matlake.store.parts import LivePart
from matlake.store.predictions import VIEW, create_prediction_views, prediction_selects
from matlake.store.property_columns import PropertyColumns, property_kinds
from matlake.store.quoting import dataset_rows, identifier, literal
from matlake.store.snapshots import shared_snapshot_or_warn, snapshot_or_warn
from matlake.store.storage.places import LakePath

_NO_MATERIALS = (
    "SELECT NULL::VARCHAR AS dataset, NULL::VARCHAR AS material_id, NULL::VARCHAR AS formula, "
    "NULL::VARCHAR[] AS elements, NULL::INTEGER AS nelements, NULL::INTEGER AS nsites WHERE false"
)
_NO_COMPOSITIONS = (
    "SELECT NULL::VARCHAR AS dataset, NULL::VARCHAR AS material_id, NULL::BIGINT AS source_row, "
    "NULL::VARCHAR AS formula, NULL::VARCHAR AS composition_hash, NULL::VARCHAR AS crystal_hash, "
    "NULL::SMALLINT[] AS atomic_numbers, NULL::DOUBLE[] AS fractions WHERE false"
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
GEOMETRY_COLUMNS = tuple(COLUMNS.names)
"""Columns of crystals: in the view of their dataset, not in ``materials``."""

MATERIAL_COLUMNS = frozenset(
    {"dataset", "material_id", "formula", "elements", "nelements", "nsites", *GEOMETRY_COLUMNS},
)
"""Columns of ``materials`` and of the datasets that are no properties."""

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
    "crystal_error",
    "atomic_numbers",
    "fractions",
    "import_error",
    "unread_cells",
)
_NOT_PROPERTIES = MATERIAL_COLUMNS.union(_INTERNAL_COLUMNS)
UNREAD_CELLS = "unread_cells"
"""The view of cells that are null because they hold another kind of value than their column; a dataset of that name,
which 0.1.0 allowed, takes its place."""


def create_views(lake: LakeFolders, connection: duckdb.DuckDBPyConnection) -> None:
    """Make the views of one moment of the lake; see ``sql.connect`` for those that are not in the contract."""
    connection.execute("CREATE SCHEMA internal; CREATE SCHEMA embed")
    datasets, properties = _dataset_views(lake, connection)
    names = list(datasets)
    hidden_columns = (*_INTERNAL_COLUMNS, *GEOMETRY_COLUMNS)
    _view(
        connection,
        "materials",
        [_NO_MATERIALS, *(_shown(name, hidden_columns, properties.replacements(name)) for name in names)],
    )
    _view(
        connection,
        "internal.compositions",
        [
            _NO_COMPOSITIONS,
            *(
                f"SELECT {literal(name)} AS dataset, material_id, source_row, formula, composition_hash, "
                f"crystal_hash, atomic_numbers, fractions FROM {dataset_rows(name)} WHERE import_error IS NULL"
                for name in names
            ),
        ],
    )
    views = view_names(names)
    for name, has_geometry in datasets.items():
        hidden = _INTERNAL_COLUMNS if has_geometry else (*_INTERNAL_COLUMNS, *GEOMETRY_COLUMNS)
        connection.execute(f"CREATE VIEW main.{identifier(views[name])} AS {_shown(name, hidden)}")
    cards = [registered.card for registered in lake.registered_encoders()]
    _embedding_views(lake, connection, cards)
    predictions, failed = prediction_selects(lake, connection)
    _failure_view(lake, connection, names, cards, failed)
    lower = [name.lower() for name in names]
    create_prediction_views(connection, predictions, shown=VIEW not in lower)
    if UNREAD_CELLS not in lower:
        _unread_view(connection, names)


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


def readable_views(lake: LakeFolders, connection: duckdb.DuckDBPyConnection) -> dict[str, str]:
    """Return the view of each dataset that can be read: its log and at least one of its parts are sound."""
    views = connection.execute("SELECT schema_name, view_name FROM duckdb_views()").fetchall()
    made = {f"{schema}.{identifier(view)}" for schema, view in views}
    return view_names([name for name in lake.dataset_names() if dataset_rows(name) in made])


def readable_view(lake: LakeFolders, connection: duckdb.DuckDBPyConnection, dataset: str) -> str:
    """Return the view of one dataset.

    Raises:
        LakeError: It cannot be read.
    """
    view = readable_views(lake, connection).get(dataset)
    if view is None:
        raise LakeError(f"dataset {dataset!r} cannot be read", REPAIR)
    return view


def property_columns(lake: LakeFolders) -> PropertyColumns:
    """Return the types that properties have in the datasets and in ``materials``."""
    tables = {name: snapshot_or_warn(lake, lake.dataset(name)) for name in lake.dataset_names()}
    return PropertyColumns.of(
        {name: property_kinds(table, _NOT_PROPERTIES) for name, table in tables.items() if table is not None}
    )


def _dataset_views(lake: LakeFolders, connection: duckdb.DuckDBPyConnection) -> tuple[dict[str, bool], PropertyColumns]:
    """Make the internal view of each dataset, and say which datasets hold structures, and their properties.

    The views have the columns of crystals in any case, null where the table has none: it may hold compositions only,
    or be older than structures.
    """
    datasets, kinds = {}, {}
    for name in lake.dataset_names():
        table = snapshot_or_warn(lake, lake.dataset(name))
        files = _files(delta.sound_parts(table, verify=lake.verify))
        if table is not None and files:
            present = {column.name for column in table.schema().fields}
            absent = [f"NULL::{kind} AS {column}" for column, kind in _CRYSTAL_TYPES.items() if column not in present]
            has_geometry = not absent
            absent += [f"NULL::{kind} AS {column}" for column, kind in _LATER_TYPES.items() if column not in present]
            rows = parquet_rows(connection, files)
            connection.execute(f"CREATE VIEW {dataset_rows(name)} AS SELECT {', '.join(['*', *absent])} FROM {rows}")
            datasets[name] = has_geometry
            kinds[name] = property_kinds(table, _NOT_PROPERTIES)
    return datasets, PropertyColumns.of(kinds)


def _files(parts: Iterable[LivePart]) -> list[LakePath]:
    return sorted(part.path for part in parts)


def _shown(dataset: str, hidden: tuple[str, ...], replacements: str = "") -> str:
    """Return the query of a dataset's materials, some of its columns left out or replaced."""
    return (
        f"SELECT {literal(dataset)} AS dataset, * EXCLUDE ({', '.join(hidden)}) {replacements} "
        f"FROM {dataset_rows(dataset)} WHERE import_error IS NULL"
    )


def _embedding_views(lake: LakeFolders, connection: duckdb.DuckDBPyConnection, cards: list[EncoderCard]) -> None:
    selects = [_NO_EMBEDDINGS]
    parts = delta.sound_parts(shared_snapshot_or_warn(lake, lake.embeddings), verify=lake.verify)
    for card in cards:
        for layer in card.layers:
            partition = embedding_partition(card, layer.name)
            files = _files(part for part in parts if part.partition == partition)
            if not files:
                continue
            rows = parquet_rows(connection, files)
            ref = identifier(str(card.ref(layer.name)))
            connection.execute(
                f"CREATE VIEW internal.{ref} AS SELECT content_hash, vector::FLOAT[{layer.dim}] AS vector FROM {rows}"
            )
            joined = (
                f"FROM internal.compositions AS m JOIN {rows} AS e ON m.{CONTENT_KEYS[card.input]} = e.content_hash"
            )
            shown = [ref, identifier(card.name)] if layer.name == card.default_layer else [ref]
            for view in shown:
                connection.execute(
                    f"CREATE VIEW embed.{view} AS "
                    f"SELECT m.dataset, m.material_id, e.vector::FLOAT[{layer.dim}] AS vector {joined}"
                )
            selects.append(
                f"SELECT m.dataset, m.material_id, {literal(card.name)} AS encoder, {literal(layer.name)} AS layer, "
                f"e.vector {joined}"
            )
    _view(connection, "embeddings", selects)


def embedding_partition(card: EncoderCard, layer: str) -> dict[str, str]:
    """Return the partition of the embeddings table that holds an encoder's layer."""
    return {"encoder": card.name, "encoder_sha256": card.sha256, "layer": layer}


def failure_partition(card: EncoderCard) -> dict[str, str]:
    """Return the partition of the failures table that holds what an encoder rejects."""
    return {"encoder": card.name, "encoder_sha256": card.sha256}


def _failure_view(
    lake: LakeFolders,
    connection: duckdb.DuckDBPyConnection,
    names: list[str],
    cards: list[EncoderCard],
    predicted: list[str],
) -> None:
    selects = [_NO_FAILURES, *predicted]
    selects += [
        f"SELECT {literal(name)} AS dataset, material_id, source_row, formula, 'import' AS stage, "
        f"NULL AS encoder, import_error AS reason FROM {dataset_rows(name)} WHERE import_error IS NOT NULL"
        for name in names
    ]
    parts = delta.sound_parts(shared_snapshot_or_warn(lake, lake.failures_table), verify=lake.verify)
    for card in cards:
        partition = failure_partition(card)
        files = _files(part for part in parts if part.partition == partition)
        if not files:
            continue
        rows = parquet_rows(connection, files)
        selects += [
            f"SELECT {literal(name)} AS dataset, m.material_id, m.source_row, m.formula, 'embed' AS stage, "
            f"{literal(card.name)} AS encoder, e.reason FROM {dataset_rows(name)} AS m "
            f"JOIN {rows} AS e ON {row_key(card.input, literal(name))} = e.content_hash "
            "WHERE m.import_error IS NULL"
            for name in names
        ]
    _view(connection, "failures", selects)


def _unread_view(connection: duckdb.DuckDBPyConnection, names: list[str]) -> None:
    cells = [
        f"SELECT {literal(name)} AS dataset, material_id, source_row, cell.property AS property, cell.text AS text "
        f"FROM (SELECT material_id, source_row, unnest({UNREAD_CELLS}) AS cell FROM {dataset_rows(name)})"
        for name in names
    ]
    _view(connection, UNREAD_CELLS, [_NO_UNREAD_CELLS, *cells])


def _view(connection: duckdb.DuckDBPyConnection, name: str, selects: list[str]) -> None:
    connection.execute(f"CREATE VIEW {name} AS " + " UNION ALL BY NAME ".join(f"({select})" for select in selects))
