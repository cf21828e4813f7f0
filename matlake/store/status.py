"""What is in a lake."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matlake.encoders.layer_ref import LayerRef
from matlake.reports import Report
from matlake.store.damage import list_damage, reads_what_is_sound
from matlake.store.lake import Lake
from matlake.store.predictions import SavedPredictions, saved_predictions, saved_snapshot
from matlake.store.property_columns import PropertyColumns
from matlake.store.quoting import identifier
from matlake.store.row_counts import count_dataset, count_reasons, count_unread_cells
from matlake.store.snapshots import shared_snapshot_or_warn, snapshot_or_warn
from matlake.store.tables import delta
from matlake.store.tables.parts import without_warnings
from matlake.store.views import ReadableDataset, embedding_partition, readable_datasets, view_names
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
    """Count what is in a lake, from what the logs have recorded: files are opened only for what they have not."""
    with without_warnings():
        later_failures = _later_failures(lake)  # first, as it opens files and so may find damage
        datasets = list(readable_datasets(lake))
        layers = embedded_layers(lake)
        predictions = saved_predictions(lake)
        unread = [
            {"dataset": dataset.name, "property": name, "cells": cells}
            for dataset in datasets
            for name, cells in count_unread_cells(dataset.parts)
        ]
        counts = [count_dataset(dataset.parts) for dataset in datasets]
        failures = sum(count.failures for count in counts) + later_failures
        views = view_names([dataset.name for dataset in datasets])
        lost = _text_read_as_null(lake, datasets, views)
    damaged = [{"path": str(path), "problem": problem} for path, problem in list_damage(lake)]
    documents = [
        {
            "name": dataset.name,
            **({"view": views[dataset.name]} if views[dataset.name] != dataset.name else {}),
            "materials": count.materials,
            "properties": dataset.properties,
        }
        for dataset, count in zip(datasets, counts, strict=True)
    ]
    return Status(documents, layers, lake.head_names(), predictions, failures, unread, lost, damaged)


def _later_failures(lake: Lake) -> int:
    """Count the rows of ``failures`` that are not of imports: contents are recorded, and materials are shown."""
    rejected = shared_snapshot_or_warn(lake, lake.failures_table)
    if not (rejected and rejected.parts) and not count_reasons(delta.sound_parts(saved_snapshot(lake))):
        return 0
    with lake.connect() as connection:
        ((number,),) = connection.execute("SELECT count(*) FROM failures WHERE stage <> 'import'").fetchall()
    return int(number)


def _text_read_as_null(
    lake: Lake, datasets: Sequence[ReadableDataset], views: Mapping[str, str]
) -> list[dict[str, Any]]:
    kinds = PropertyColumns.of({dataset.name: dataset.kinds for dataset in datasets})
    some = [dataset.name for dataset in datasets if kinds.may_lose(dataset.name)]
    if not some:
        return []
    with lake.connect() as connection:
        return [
            {"dataset": name, "property": p, "values": values}
            for name in some
            for p, values in kinds.lost(connection, name, f"main.{identifier(views[name])}").items()
        ]


def embedded_layers(lake: Lake) -> list[dict[str, Any]]:
    """Return ``name``, ``layer``, ``vectors`` and ``bytes`` of each layer that something is embedded with."""
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
