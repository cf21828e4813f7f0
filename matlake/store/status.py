"""What is in a lake."""

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from matlake.encoders.layer_ref import LayerRef
from matlake.store import delta
from matlake.store.lake import Lake
from matlake.store.quoting import identifier
from matlake.store.views import MATERIAL_COLUMNS, embedding_partition, view_names
from matlake.text_tables import Column, Line, TextTable


@dataclass(frozen=True)
class Status:
    """Counts of a moment.

    Attributes:
        datasets: ``name``, ``materials``, ``properties`` of each dataset, and ``view`` where that has another name.
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
            *(
                f"dataset {d['name']} is the view {d['view']}, as SQL names know no capitals: rename one of the two"
                for d in self.datasets
                if "view" in d
            ),
            "",
            f"heads: {', '.join(self.heads) or 'none'}",
            f"failures: {self.failures:,} rows",
        ]


def status(lake: Lake) -> Status:
    """Count what is in a lake."""
    datasets = []
    with lake.connect() as connection:
        for name, view in view_names(lake.dataset_names()).items():
            relation = connection.sql(f"SELECT * FROM main.{identifier(view)}")
            (materials,) = connection.execute(f"SELECT count(*) FROM main.{identifier(view)}").fetchall()[0]
            datasets.append(
                {
                    "name": name,
                    **({"view": view} if view != name else {}),
                    "materials": materials,
                    "properties": [c for c in relation.columns if c not in MATERIAL_COLUMNS],
                }
            )
        (failures,) = connection.execute("SELECT count(*) FROM failures").fetchall()[0]
    heads = sorted(card.parent.name for card in lake.heads.glob("*/card.json"))
    return Status(datasets, _embedded_layers(lake), heads, failures)


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
