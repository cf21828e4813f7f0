"""Maps in the formats of other programs: chemiscope's JSON, and Parquet for Embedding Atlas and everything else."""

import gzip
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from matlake.maps.crystals import read_crystals
from matlake.maps.points import Points
from matlake.maps.report import MapReport
from matlake.maps.request import MapRequest, Projection
from matlake.materials.crystal import Crystal
from matlake.materials.periodic_table import SYMBOLS
from matlake.store.lake import Lake


def table_file(report: MapReport) -> bytes:
    """Return the points as a Parquet file: ``dataset``, ``material_id``, ``formula``, ``x``, ``y`` and the property.

    Embedding Atlas reads it as it is: it needs columns of coordinates, and takes the others as they come.
    """
    sink = io.BytesIO()
    pq.write_table(report.points, sink, compression="zstd")
    return sink.getvalue()


def chemiscope_file(
    lake: Lake, request: MapRequest, points: Points, report: MapReport, drawn: NDArray[np.int64]
) -> bytes:
    """Return the input of chemiscope (https://chemiscope.org), compressed where the file's name says so.

    Args:
        lake: The lake.
        request: What was asked for.
        points: The materials.
        report: What is known of the map.
        drawn: The materials in the file. All of them bring a crystal, or none does.
    """
    axes = [f"{'UMAP' if report.projection is Projection.UMAP else 'PCA'}[{number}]" for number in (1, 2)]
    properties: dict[str, Any] = {
        name: _property(report.points[column].to_pylist()) for name, column in zip(axes, ("x", "y"), strict=True)
    }
    settings: dict[str, Any] = {"x": {"property": axes[0]}, "y": {"property": axes[1]}}
    colouring = report.colouring
    if colouring is not None:
        if colouring.numbers is None:
            values = [text or "no value" for text in report.points[report.points.column_names[-1]].to_pylist()]
            settings["symbol"] = colouring.name
        else:
            values = colouring.numbers[drawn].tolist()  # chemiscope reads NaN, and hides such points
            settings["color"] = {"property": colouring.name}
        properties[colouring.name] = _property(values, colouring.unit, colouring.quantity)
    for name in ("formula", "material_id", "dataset"):
        properties[name] = _property(report.points[name].to_pylist())
    document: dict[str, Any] = {
        "meta": {
            "name": request.title or f"{' and '.join(report.datasets)}, {report.feature}",
            "description": "; ".join([report.headline, *report.notes()]),
        },
        "structures": [],
        "properties": properties,
        "settings": {"target": "structure", "map": settings, "structure": [{"unitCell": True}]},
    }
    if report.structures:
        document["structures"] = list(_structures(read_crystals(lake, points, drawn)))
    content = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
    return gzip.compress(content, 9, mtime=0) if request.path.name.lower().endswith(".gz") else content


def _property(values: list[Any], unit: str = "", description: str = "") -> dict[str, Any]:
    found = {"target": "structure", "values": values}
    return found | {key: text for key, text in (("units", unit), ("description", description)) if text}


def _structures(crystals: Iterator[Crystal]) -> Iterator[dict[str, Any]]:
    for crystal in crystals:
        x, y, z = np.round(crystal.positions @ crystal.lattice, 5).T.tolist()
        yield {
            "size": len(crystal.numbers),
            "names": [SYMBOLS[number - 1] for number in crystal.numbers.tolist()],
            "x": x,
            "y": y,
            "z": z,
            "cell": np.round(crystal.lattice, 6).ravel().tolist(),
        }
