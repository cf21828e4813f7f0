"""What is in a lake."""

from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from matlake.encoders.layer_ref import LayerRef
from matlake.store import delta
from matlake.store.lake import Lake
from matlake.store.quoting import identifier
from matlake.store.views import MATERIAL_COLUMNS, UNREAD_CELLS, embedding_partition, property_columns
from matlake.text_tables import Column, Line, TextTable


@dataclass(frozen=True)
class Status:
    """Counts of a moment.

    Attributes:
        datasets: ``name``, ``materials``, ``properties`` of each dataset.
        encoders: ``name``, ``layer``, ``vectors``, ``bytes`` of each embedded layer.
        heads: Names of trained heads.
        failures: Rows in the view ``failures``.
        unread_cells: ``dataset``, ``property``, ``cells``: how many cells are null because their table held another
            kind of value there.
        text_read_as_null: ``dataset``, ``property``, ``values``: how many values are null in ``materials`` because they
            are text, and the property is a number in other datasets.
    """

    datasets: list[dict[str, Any]]
    encoders: list[dict[str, Any]]
    heads: list[str]
    failures: int
    unread_cells: list[dict[str, Any]]
    text_read_as_null: list[dict[str, Any]]

    def document(self) -> dict[str, Any]:
        """Return the JSON document of the contract."""
        return dict(vars(self))

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
            "",
            f"heads: {', '.join(self.heads) or 'none'}",
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
        ]


def status(lake: Lake) -> Status:
    """Count what is in a lake."""
    datasets, unread, lost = [], [], []
    kinds = property_columns(lake)
    with lake.connect() as connection:
        for name in lake.dataset_names():
            relation = connection.sql(f"SELECT * FROM main.{identifier(name)}")
            datasets.append(
                {
                    "name": name,
                    "materials": _number(connection, f"SELECT count(*) FROM main.{identifier(name)}"),
                    "properties": [c for c in relation.columns if c not in MATERIAL_COLUMNS],
                }
            )
            unread += [{"dataset": name, "property": p, "cells": cells} for p, cells in _unread(connection, name)]
            lost += [
                {"dataset": name, "property": p, "values": values}
                for p, values in kinds.lost(connection, name, f"main.{identifier(name)}").items()
            ]
        failures = _number(connection, "SELECT count(*) FROM failures")
    heads = sorted(card.parent.name for card in lake.heads.glob("*/card.json"))
    return Status(datasets, _embedded_layers(lake), heads, failures, unread, lost)


def _number(connection: duckdb.DuckDBPyConnection, statement: str) -> int:
    return int(connection.execute(statement).fetchall()[0][0] or 0)


def _unread(connection: duckdb.DuckDBPyConnection, dataset: str) -> list[tuple[str, int]]:
    """Return properties of a dataset with the number of cells that were not read."""
    return connection.execute(
        f"SELECT cell.property, count(*) FROM (SELECT unnest({UNREAD_CELLS}) AS cell "
        f"FROM internal.{identifier(dataset)}) GROUP BY 1 ORDER BY 1"
    ).fetchall()


def _embedded_layers(lake: Lake) -> list[dict[str, Any]]:
    table = delta.open_table(lake.embeddings)
    if table is None:
        return []
    keys = [f"partition.{key}" for key in ("encoder", "encoder_sha256", "layer")]
    sums = pa.table(table.get_add_actions(flatten=True)).group_by(keys)
    totals = sums.aggregate([("num_records", "sum"), ("size_bytes", "sum")]).to_pylist()
    found = {tuple(total[key] for key in keys): total for total in totals}
    return [
        {
            "name": registered.card.name,
            "layer": layer.name,
            "vectors": total["num_records_sum"],
            "bytes": total["size_bytes_sum"],
        }
        for registered in lake.list_encoders()
        for layer in registered.card.layers
        if (total := found.get(tuple(embedding_partition(registered.card, layer.name).values())))
    ]
