"""The page of a map: what it is told about points, colours and crystals."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from matlake.maps.colouring import Colouring
from matlake.maps.crystals import read_crystals
from matlake.maps.html_file import page_file
from matlake.maps.points import Points
from matlake.maps.report import MapReport
from matlake.maps.request import MapRequest, Projection
from matlake.materials.crystal import Crystal
from matlake.materials.units import quantity_of
from matlake.progress import Progress
from matlake.store.lake import Lake
from matlake.store.property_columns import TIME


def map_page(
    lake: Lake,
    request: MapRequest,
    points: Points,
    report: MapReport,
    chosen: NDArray[np.int64],
    progress: Progress,
) -> bytes:
    """Return the page as HTML.

    Args:
        lake: The lake.
        request: What was asked for.
        points: The materials.
        report: What is known of the map.
        chosen: The materials whose crystals go into the file.
        progress: Receives the number of crystals drawn.
    """
    table, colouring = report.points, report.colouring
    crystal = np.where(points.has_crystal, -2, -1).astype(np.int32)
    crystal[chosen] = np.arange(len(chosen))
    arrays: dict[str, NDArray[Any]] = {
        "xy": np.stack([table["x"].to_numpy(), table["y"].to_numpy()], axis=1).astype("<f4"),
        "home": points.home.astype(np.uint8),
        "crystal": crystal.astype("<i4"),
    }
    texts: dict[str, list[Any]] = {"formulas": table["formula"].to_pylist(), "ids": table["material_id"].to_pylist()}
    if colouring is not None and colouring.numbers is not None:
        arrays["numbers"] = colouring.numbers.astype("<f8")
    if colouring is not None and colouring.numbers is None:
        arrays["codes"] = colouring.codes.astype("<i2")
        texts["words"] = colouring.values.to_pylist()
    if points.kind == TIME:
        texts["words"] = pc.strftime(points.table["value"].cast("timestamp[s]", safe=False), "%Y-%m-%d").to_pylist()
    facts = {
        "summary": f"{report.headline}; {report.variance}",
        "notes": [*(note[0].upper() + note[1:] + "." for note in report.notes()), f"Random seed {report.seed}."],
        "axes": _axes(report),
        "projection": report.projection.value,
        "colour": None if colouring is None else _colour(colouring),
        "datasets": list(report.datasets),
        "crystals": {"stored": len(chosen), "available": report.crystals},
    }
    crystals = _counted(read_crystals(lake, points, chosen), len(chosen), progress)
    return page_file(request.title or _title(report), facts, arrays, texts, crystals)


def _title(report: MapReport) -> str:
    by = "" if report.colouring is None else f" by {quantity_of(report.colouring.name)}"
    return f"{' and '.join(report.datasets)}{by}"


def _axes(report: MapReport) -> list[str]:
    if report.projection is Projection.UMAP:
        return ["UMAP 1 (no unit)", "UMAP 2 (no unit)"]
    return [
        f"principal component {number} ({100 * share:.1f} % of the variance)"
        for number, share in enumerate(report.explained, start=1)
    ]


def _colour(colouring: Colouring) -> dict[str, Any]:
    numbers = colouring.numbers
    known = np.empty(0) if numbers is None else numbers[~np.isnan(numbers)]
    return {
        "name": colouring.name,
        "quantity": colouring.quantity,
        "unit": colouring.unit,
        "low": colouring.low,
        "high": colouring.high,
        "below": bool((known < colouring.low).any()),
        "above": bool((known > colouring.high).any()),
        "categories": None if numbers is not None else list(colouring.categories),
        "others": colouring.others,
        "missing": colouring.missing,
    }


def _counted(crystals: Iterator[Crystal], total: int, progress: Progress) -> Iterator[Crystal]:
    for number, crystal in enumerate(crystals, start=1):
        yield crystal
        progress.track(number, total)
