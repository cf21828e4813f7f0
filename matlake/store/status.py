"""What is in a lake."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import duckdb

from matlake.encoders.layer_ref import LayerRef
from matlake.reports import Report
from matlake.store import delta
from matlake.store.damage import list_damage, reads_what_is_sound
from matlake.store.lake import Lake
from matlake.store.parts import without_warnings
from matlake.store.predictions import SavedPredictions, saved_predictions
from matlake.store.quoting import dataset_rows, identifier
from matlake.store.snapshots import snapshot_or_warn
from matlake.store.views import MATERIAL_COLUMNS, UNREAD_CELLS, embedding_partition, property_columns, readable_views
from matlake.text_tables import Column, Line, TextTable


@dataclass(frozen=True, repr=False)
class Status(Report):
    """Counts of a moment.

    Attributes:
        datasets: ``name``, ``materials``, ``properties`` of each dataset, and ``view`` where that has another name.
        encoders: ``name``, ``layer``, ``vectors``, ``bytes`` of each embedded layer.
        heads: Names of trained heads.
        predictions: ``head``, ``head_digest``, ``rows``, ``bytes``, ``stale`` of what is saved; stale is what was
            predicted by a head that is another by now, or gone.
        failures: Rows in the view ``failures``.
        unread_cells: ``dataset``, ``property``, ``cells``: how many cells are null because their table held another
            kind of value there.
        text_read_as_null: ``dataset``, ``property``, ``values``: how many values are null in ``materials`` because they
            are text, and the property is a number in other datasets.
        damaged: ``path`` and ``problem`` of tables and parts that cannot be read; the counts leave them out.
    """

    datasets: list[dict[str, Any]]
    encoders: list[dict[str, Any]]
    heads: list[str]
    predictions: list[SavedPredictions]
    failures: int
    unread_cells: list[dict[str, Any]]
    text_read_as_null: list[dict[str, Any]]
    damaged: list[dict[str, str]]

    def document(self) -> dict[str, Any]:
        """Return the JSON document of the contract."""
        return {**vars(self), "predictions": [saved.document() for saved in self.predictions]}

    def lines(self) -> list[Line]:
        """Return the text for people."""
        datasets = [(d["name"], d["materials"], ", ".join(d["properties"]) or None) for d in self.datasets]
        layers = [(str(LayerRef(e["name"], e["layer"])), e["vectors"], e["bytes"] / 1e6) for e in self.encoders]
        return [
            TextTable((Column("dataset"), Column("materials", "right", ","), Column("properties")), datasets),
            "",
            TextTable(
                (Column("layer"), Column("vectors", "right", ","), Column("size", "right", ",.1f", "MB")), layers
            ),
            *(
                f"dataset {d['name']} is the view {d['view']}, as SQL names know no capitals: rename one of the two"
                for d in self.datasets
                if "view" in d
            ),
            "",
            f"heads: {', '.join(self.heads) or 'none'}",
            *(f"predictions of {saved.head}: {saved.text}" for saved in self.predictions),
            f"failures: {self.failures:,} rows",
            *(
                f"unread cells: {some['cells']:,} of {some['property']} in {some['dataset']} (view unread_cells)"
                for some in self.unread_cells
            ),
            *(
                f"text: {some['values']:,} values of {some['property']} in {some['dataset']} are null in materials, "
                "where other datasets have numbers"
                for some in self.text_read_as_null
            ),
            *(f"damaged: {damage['problem']}" for damage in self.damaged),
            *(["`matlake check --repair` says how to get the rows back"] if self.damaged else []),
        ]


@reads_what_is_sound
def status(lake: Lake) -> Status:
    """Count what is in a lake."""
    with without_warnings():
        datasets, unread, lost, failures = _count(lake)
        layers = _embedded_layers(lake)
        predictions = saved_predictions(lake)
    damaged = [{"path": str(path), "problem": problem} for path, problem in list_damage(lake)]
    return Status(datasets, layers, lake.head_names(), predictions, failures, unread, lost, damaged)


def _count(lake: Lake) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]], int]:
    """Return the datasets, the cells that were not read, the text that ``materials`` leaves out, and the failures."""
    datasets: list[dict[str, Any]] = []
    unread: list[dict[str, Any]] = []
    lost: list[dict[str, Any]] = []
    kinds = property_columns(lake)
    with lake.connect() as connection:
        for name, view in readable_views(lake, connection).items():
            rows = f"main.{identifier(view)}"
            relation = connection.sql(f"SELECT * FROM {rows}")
            datasets.append(
                {
                    "name": name,
                    **({"view": view} if view != name else {}),
                    "materials": _number(connection, f"SELECT count(*) FROM {rows}"),
                    "properties": [c for c in relation.columns if c not in MATERIAL_COLUMNS],
                }
            )
            unread += [{"dataset": name, "property": p, "cells": cells} for p, cells in _unread(connection, name)]
            lost += [
                {"dataset": name, "property": p, "values": values}
                for p, values in kinds.lost(connection, name, rows).items()
            ]
        return datasets, unread, lost, _number(connection, "SELECT count(*) FROM failures")


def _number(connection: duckdb.DuckDBPyConnection, statement: str) -> int:
    return int(connection.execute(statement).fetchall()[0][0] or 0)


def _unread(connection: duckdb.DuckDBPyConnection, dataset: str) -> list[tuple[str, int]]:
    """Return properties of a dataset with the number of cells that were not read."""
    return connection.execute(
        f"SELECT cell.property, count(*) FROM (SELECT unnest({UNREAD_CELLS}) AS cell "
        f"FROM {dataset_rows(dataset)}) GROUP BY 1 ORDER BY 1"
    ).fetchall()


def _embedded_layers(lake: Lake) -> list[dict[str, Any]]:
    vectors: Counter[tuple[str, ...]] = Counter()
    sizes: Counter[tuple[str, ...]] = Counter()
    for part in delta.sound_parts(snapshot_or_warn(lake, lake.embeddings)):
        key = tuple(part.partition[name] for name in ("encoder", "encoder_sha256", "layer"))
        vectors[key] += part.rows
        sizes[key] += part.size
    return [
        {"name": registered.card.name, "layer": layer.name, "vectors": vectors[key], "bytes": sizes[key]}
        for registered in lake.registered_encoders()
        for layer in registered.card.layers
        if (key := tuple(embedding_partition(registered.card, layer.name).values())) in vectors
    ]
