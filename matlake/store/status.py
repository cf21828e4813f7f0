"""What is in a lake."""

from dataclasses import dataclass
from typing import Any

import duckdb
import pyarrow as pa

from matlake.encoders.layer_ref import LayerRef
from matlake.store import delta
from matlake.store.lake import Lake
from matlake.store.quoting import identifier
from matlake.store.views import MATERIAL_COLUMNS, embedding_partition, property_columns
from matlake.text_tables import Column, Line, TextTable


@dataclass(frozen=True)
class Status:
    """Counts of a moment.

    Attributes:
        datasets: ``name``, ``materials``, ``properties`` of each dataset; ``unread_cells``, the number of cells that
            are null because they held another kind of value; ``text_read_as_null``, property -> number of values that
            are null in ``materials`` because the property is a number in other datasets.
        encoders: ``name``, ``layer``, ``vectors``, ``bytes`` of each embedded layer.
        heads: Names of trained heads.
        failures: Rows in the view ``failures``.
    """

    datasets: list[dict[str, Any]]
    encoders: list[dict[str, Any]]
    heads: list[str]
    failures: int

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
            *(_unread(dataset) for dataset in self.datasets if dataset["unread_cells"]),
            *(_read_as_null(d["name"], *lost) for d in self.datasets for lost in d["text_read_as_null"].items()),
            f"heads: {', '.join(self.heads) or 'none'}",
            f"failures: {self.failures:,} rows",
        ]


def status(lake: Lake) -> Status:
    """Count what is in a lake."""
    datasets = []
    kinds = property_columns(lake)
    with lake.connect() as connection:
        for name in lake.dataset_names():
            relation = connection.sql(f"SELECT * FROM main.{identifier(name)}")
            datasets.append(
                {
                    "name": name,
                    "materials": _number(connection, f"SELECT count(*) FROM main.{identifier(name)}"),
                    "properties": [c for c in relation.columns if c not in MATERIAL_COLUMNS],
                    "unread_cells": _number(
                        connection, f"SELECT sum(len(unread_cells)) FROM internal.{identifier(name)}"
                    ),
                    "text_read_as_null": kinds.lost(connection, name),
                }
            )
        failures = _number(connection, "SELECT count(*) FROM failures")
    heads = sorted(card.parent.name for card in lake.heads.glob("*/card.json"))
    return Status(datasets, _embedded_layers(lake), heads, failures)


def _number(connection: duckdb.DuckDBPyConnection, statement: str) -> int:
    return int(connection.execute(statement).fetchall()[0][0] or 0)


def _unread(dataset: dict[str, Any]) -> str:
    return f"{dataset['name']}: {dataset['unread_cells']:,} cells could not be read (see the view unread_cells)"


def _read_as_null(dataset: str, name: str, count: int) -> str:
    return f"{dataset}: {count:,} values of {name} are text and null in materials, where {name} is a number"


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
