"""A diverse selection: materials that are far from each other, by farthest-point sampling.

Each next one is the material whose nearest among those chosen so far is farthest away (Gonzalez, Theor. Comput. Sci.
38, 293, 1985): no other material of the lake is farther from the selection than twice what the best selection of that
size would leave.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.errors import LakeError
from matlake.progress import SILENT, Progress
from matlake.reports import TableReport
from matlake.store.lake import Lake
from matlake.store.searching.content_rows import ContentRows
from matlake.store.searching.dedupe import principal_axis
from matlake.store.searching.index import open_index
from matlake.store.searching.neighbour import Neighbour
from matlake.text_tables import Column, Line, TextTable

_ROUNDING: Final = 1e-4
"""More than the share of squared norms that a product of float32 loses."""


@dataclass(frozen=True)
class DiverseRequest:
    """What to select from.

    Attributes:
        feature: ``NAME@LAYER``; several layers have equal weight, see ``Index``.
        n: Materials wanted.
        dataset: Only materials of this dataset.
        where: Only materials that this SQL predicate over ``materials`` selects.
    """

    feature: str
    n: int = 20
    dataset: str | None = None
    where: str | None = None


@dataclass(frozen=True, repr=False)
class Selection(TableReport):
    """Materials that are far from each other.

    Attributes:
        feature: The layer.
        materials: In the order in which they were chosen. The distance of each is that from the nearest one before it,
            and of the first, which is near the middle, 0.
        covered: Largest distance of a material that was not chosen from the nearest one that was.
    """

    feature: str
    materials: list[Neighbour]
    covered: float

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {
            "encoder": self.feature,
            "materials": [one.document() for one in self.materials],
            "covered": self.covered,
        }

    def lines(self) -> list[Line]:
        """Return the text for people."""
        rows = [(one.distance, one.formula, f"{one.dataset}/{one.material_id}") for one in self.materials]
        columns = (Column("distance", "right", ".4g"), Column("formula"), Column("material"))
        return [
            f"{len(self.materials):,} materials far from each other by {self.feature}",
            TextTable(columns, rows),
            f"all others are within {self.covered:.4g} of one of them",
        ]

    def to_arrow(self) -> pa.Table:
        """Return the materials: ``dataset``, ``material_id``, ``formula``, ``distance``."""
        names = ("dataset", "material_id", "formula")
        columns = {name: pa.array([getattr(one, name) for one in self.materials], pa.string()) for name in names}
        return pa.table(columns | {"distance": pa.array([one.distance for one in self.materials], pa.float64())})


def diverse(lake: Lake, request: DiverseRequest, progress: Progress = SILENT) -> Selection:
    """Select materials that are far from each other: a set to compute or to measure first.

    The first is the one nearest to the mean. The same lake gives the same selection. Materials whose embeddings are
    equal count as one.

    Args:
        lake: The lake.
        request: What to select from.
        progress: Receives the number of materials chosen.

    Raises:
        EncoderError: No such encoder or layer.
        LakeError: Fewer than one material is wanted, nothing is embedded, or there is no such dataset.
        QueryError: ``where`` is not a predicate over ``materials``.
    """
    if request.n < 1:
        raise LakeError(f"{request.n} materials are wanted", "ask for 1 or more")
    index = open_index(lake, request.feature)
    places = np.flatnonzero(index.select(request.dataset, request.where))
    chosen, distances, covered = _farthest(index.rows, index.contents[places], request.n, progress)
    return Selection(index.feature, index.neighbours(places[chosen], distances), covered)


def _farthest(
    rows: ContentRows, contents: NDArray[np.int64], n: int, progress: Progress
) -> tuple[NDArray[np.int64], NDArray[np.float64], float]:
    """Choose materials with some contents [m]; return their numbers and distances, and what is left uncovered."""
    chosen: list[int] = []
    found: list[float] = []
    if not len(contents):
        return np.array(chosen, dtype=np.int64), np.array(found), 0.0
    counted, first = np.unique(contents, return_index=True)
    centre, _, _ = principal_axis(rows, counted)
    nearest = np.full(len(rows), -np.inf)
    nearest[counted] = np.inf
    middle = np.full(len(rows), np.inf)
    _approach(rows, centre.astype(np.float32), middle)
    row = int(counted[np.argmin(middle[counted])])
    while len(chosen) < n:
        chosen.append(int(first[np.searchsorted(counted, row)]))
        found.append(0.0 if len(chosen) == 1 else float(np.sqrt(nearest[row])))
        _approach(rows, rows.take(np.array([row]))[0], nearest)
        progress.track(len(chosen), n)
        row = int(np.argmax(nearest))
        if nearest[row] <= 0.0:
            break
    return np.array(chosen, dtype=np.int64), np.array(found), float(np.sqrt(max(0.0, float(nearest[row]))))


def _approach(rows: ContentRows, point: NDArray[np.float32], nearest: NDArray[np.float64]) -> None:
    """Take a point [d] up among those to which all rows have their smallest squared distance, ``nearest`` [n].

    A matrix product finds the rows that the point may be nearest to, and these are measured.
    """
    square = float(np.dot(point, point))
    for start, vectors, squares in rows.blocks():
        part = slice(start, start + len(vectors))
        values = vectors @ (-2.0 * point)
        values += squares
        slack = _ROUNDING * (square + float(squares.max(initial=0.0)))
        found = np.flatnonzero(values < nearest[part] - square + slack)
        difference = vectors[found] - point
        measured = np.einsum("ij,ij->i", difference, difference)
        nearest[start + found] = np.minimum(nearest[start + found], measured)
