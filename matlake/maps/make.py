"""The map of a dataset: read, project, colour, write."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.errors import LakeError, SourceError
from matlake.extras import require_extra
from matlake.files import write_whole
from matlake.maps.colouring import colour
from matlake.maps.crystals import choose_crystals
from matlake.maps.exports import chemiscope_file, table_file
from matlake.maps.map_page import map_page
from matlake.maps.points import Points, WithoutVector, read_points
from matlake.maps.projection import Coordinates, project
from matlake.maps.report import MapReport
from matlake.maps.request import Form, MapRequest, Projection, check_enough
from matlake.progress import SILENT, Progress
from matlake.store.lake import Lake


def make_map(lake: Lake, request: MapRequest, progress: Progress = SILENT) -> MapReport:
    """Write a map of materials: points with similar vectors are near each other, and a property colours them.

    The same lake, request and installation give the same file. Materials without a vector are left out and named; those
    without a value of the property are grey.

    Args:
        lake: The lake.
        request: What to draw.
        progress: Receives what is being done, and the number of crystals that were drawn.

    Raises:
        EncoderError: No such encoder or layer.
        LakeError: There is no such dataset or property, nothing is embedded, there are fewer than three materials, all
            vectors are equal, or the output would be in the lake.
        QueryError: ``where`` is not a predicate over ``materials``.
        SourceError: The output cannot be written.
        MissingExtraError: plotly or umap-learn is needed and not installed.
    """
    request.check(lake)
    if request.form is Form.PAGE:
        require_extra("map", "a map as a page", "plotly")
    progress.note("reading vectors")
    points = _finite(read_points(lake, request))
    coordinates, xy = _place(points, request, progress)
    colouring = None
    if points.property is not None:
        colouring = colour(points.property, points.kind, points.table["value"])
    chosen = choose_crystals(points, request.structures, request.seed)
    drawn = np.arange(len(points))
    if request.form is Form.CHEMISCOPE and len(chosen):
        drawn = chosen  # each of its points brings a crystal, or none does
    report = MapReport.of(request, points, coordinates, xy, colouring, chosen, drawn)
    if request.form is Form.PAGE:
        content = map_page(lake, request, points, report, chosen, progress)
    elif request.form is Form.CHEMISCOPE:
        content = chemiscope_file(lake, request, points, report, drawn)
    else:
        content = table_file(report)
    try:
        write_whole(request.path, content)
    except OSError as error:
        raise SourceError(f"cannot write {request.path}: {error.strerror}", "name another file") from error
    return report.written(len(content))


def _finite(points: Points) -> Points:
    """Leave out materials with a vector that is not finite, as those that others made may be."""
    good = np.ones(len(points), dtype=bool)
    step = max(1, (32 << 20) // (4 * points.rows.dim))
    for start in range(0, len(points), step):
        part = slice(start, start + step)
        good[part] = np.isfinite(points.rows.take(points.contents[part])).all(axis=1)
    if good.all():
        return points
    bad = points.table.filter(pa.array(~good))
    check_enough(int(good.sum()), f": {len(bad):,} have a vector that is not finite")
    return points.without(
        ~good,
        [
            WithoutVector(dataset, material_id, "its vector is not finite")
            for dataset, material_id in zip(bad["dataset"].to_pylist(), bad["material_id"].to_pylist(), strict=True)
        ],
    )


def _place(points: Points, request: MapRequest, progress: Progress) -> tuple[Coordinates, NDArray[np.float32]]:
    """Return the coordinates of contents, and those of the materials, float32 [n, 2]."""
    progress.note(f"{'UMAP' if request.projection == Projection.UMAP else 'principal components'} of {len(points):,}")
    fitted = np.unique(points.contents[points.home == 0])
    if not len(fitted):
        raise LakeError(
            f"nothing of {points.datasets[0]} is embedded with {points.feature}, and the axes are those of the first",
            "name another dataset first",
        )
    others = np.setdiff1d(points.contents, fitted)
    coordinates = project(points.rows, fitted, others, Projection(request.projection), request.seed, progress)
    every = np.concatenate([fitted, others])
    order = np.argsort(every)
    return coordinates, coordinates.xy[order[np.searchsorted(every, points.contents, sorter=order)]]
