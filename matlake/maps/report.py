"""What a map shows and what it leaves out, for people and for scripts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.maps.colouring import CATEGORIES, Colouring
from matlake.maps.points import Points, WithoutVector, without_reasons
from matlake.maps.projection import Coordinates
from matlake.maps.request import Form, MapRequest, Projection
from matlake.reports import TableReport
from matlake.text_tables import Line

_NAMED: Final = 5
"""Ids that the text names for each reason."""

_SCALE: Final = (
    "the scale ends at the 2nd and the 98th percentile of the values, and colours beyond stay those of its ends"
)


@dataclass(frozen=True, repr=False, eq=False)
class MapReport(TableReport):
    """A map that was written.

    Attributes:
        path: The file.
        form: What it is.
        datasets: Names of datasets; the first makes the axes.
        feature: The layer.
        projection: ``pca`` or ``umap``.
        explained: Share of the variance that the first and the second principal component explain.
        fitted: Number of different vectors that the axes were made from.
        vectors: Number of different vectors of the first dataset.
        constant: Number of columns of the vectors that are the same everywhere.
        colouring: The property; None where there is none.
        points: ``dataset``, ``material_id``, ``formula``, ``x``, ``y`` and the property of each material in the file.
        drawn: int64 [m], which of the materials that were read these are.
        selected: Number of materials that datasets and predicate select.
        embedded: Number of these with a vector.
        structures: Number of crystals in the file.
        crystals: Number of points with a crystal.
        without_vector: Materials that have no vector, a thousand at most.
        seed: Of what was drawn at random.
        size: Bytes of the file.
    """

    path: Path
    form: Form
    datasets: tuple[str, ...]
    feature: str
    projection: Projection
    explained: tuple[float, float]
    fitted: int
    vectors: int
    constant: int
    colouring: Colouring | None
    points: pa.Table
    drawn: NDArray[np.int64]
    selected: int
    embedded: int
    structures: int
    crystals: int
    without_vector: tuple[WithoutVector, ...]
    seed: int
    size: int = 0

    @classmethod
    def of(
        cls,
        request: MapRequest,
        points: Points,
        coordinates: Coordinates,
        xy: NDArray[np.float32],
        colouring: Colouring | None,
        chosen: NDArray[np.int64],
        drawn: NDArray[np.int64],
    ) -> "MapReport":
        """Describe a map that is about to be written.

        Args:
            request: What was asked for.
            points: The materials.
            coordinates: Of their contents.
            xy: float32 [n, 2], their own.
            colouring: The property.
            chosen: Those whose crystals go into the file.
            drawn: Those that go into the file.
        """
        table = points.table.select(["dataset", "material_id", "formula"])
        table = table.append_column("x", pa.array(xy[:, 0])).append_column("y", pa.array(xy[:, 1]))
        if colouring is not None:
            name = colouring.name
            while name in table.column_names:
                name += "_value"
            table = table.append_column(name, colouring.values)
        return cls(
            path=request.path,
            form=request.form,
            datasets=points.datasets,
            feature=points.feature,
            projection=Projection(request.projection),
            explained=coordinates.explained,
            fitted=coordinates.fitted,
            vectors=len(np.unique(points.contents[points.home == 0])),
            constant=coordinates.constant,
            colouring=colouring,
            points=table.take(pa.array(drawn)).combine_chunks(),
            drawn=drawn,
            selected=points.selected,
            embedded=points.embedded,
            structures=len(chosen) if request.form in (Form.PAGE, Form.CHEMISCOPE) else 0,
            crystals=int(points.has_crystal.sum()),
            without_vector=points.without_vector,
            seed=request.seed,
        )

    def written(self, size: int) -> "MapReport":
        """Return the report with the size of the file in bytes."""
        return replace(self, size=size)

    @property
    def without_value(self) -> int:
        """Number of points without a value of the property."""
        if self.colouring is None:
            return int(self.points.num_rows)
        return int(self.points[self.points.column_names[-1]].null_count)

    @property
    def headline(self) -> str:
        """What the map shows, in a line."""
        noun = "material" if self.points.num_rows == 1 else "materials"
        over = f", with those of {', '.join(self.datasets[1:])} over them" if len(self.datasets) > 1 else ""
        return f"{self.points.num_rows:,} {noun} of {self.datasets[0]}{over}; embedded with {self.feature}"

    @property
    def variance(self) -> str:
        """How much of the vectors the map shows."""
        first, second = self.explained
        share = f"two principal components explain {_percent(first + second)} of the variance"
        if self.projection is Projection.PCA:
            return f"{share} ({_percent(first)} and {_percent(second)})"
        return f"laid out by UMAP, in which distances between groups mean little; {share}"

    def notes(self) -> list[str]:
        """Say how the map was made, and what it leaves out."""
        return [*self._about_axes(), *self._about_colours(), *self._about_crystals(), *self._left_out()]

    def _about_axes(self) -> list[str]:
        left = f", {self.constant:,} that are the same everywhere left out" if self.constant else ""
        notes = [self.variance, f"columns of the vectors are standardised{left}; equal vectors count once"]
        if self.fitted < self.vectors:
            notes.append(f"UMAP was fitted to {self.fitted:,} of {self.vectors:,} different vectors, the others placed")
        if len(self.datasets) > 1:
            notes.append(f"the axes are those of {self.datasets[0]} alone")
        return notes

    def _about_colours(self) -> list[str]:
        colouring = self.colouring
        if colouring is None:
            return []
        notes = []
        if colouring.numbers is not None:
            notes.append(_SCALE)
        elif colouring.others:
            notes.append(f"the {CATEGORIES} most frequent values have colours, {colouring.others:,} others share one")
        if missing := self.without_value:
            notes.append(f"{missing:,} without a value of {colouring.name} are grey")
        return notes

    def _about_crystals(self) -> list[str]:
        if self.form not in (Form.PAGE, Form.CHEMISCOPE) or self.structures == self.crystals:
            return []
        if self.form is Form.PAGE:
            return [f"the file has the crystals of {self.structures:,} of {self.crystals:,} materials, drawn at random"]
        return []

    def _left_out(self) -> list[str]:
        notes = []
        if self.points.num_rows < self.embedded:
            why = "drawn at random"
            if self.form is Form.CHEMISCOPE and self.structures:
                why = "drawn at random from those with a crystal, which each point of chemiscope needs"
            notes.append(f"{self.points.num_rows:,} of {self.embedded:,} materials, {why}")
        for reason, ids in without_reasons(self.without_vector).items():
            names = ", ".join(ids[:_NAMED]) + (", …" if len(ids) > _NAMED else "")
            notes.append(f"left out, {reason}: {names}")
        if missing := self.selected - self.embedded:
            notes.append(f"{missing:,} of {self.selected:,} materials have no vector")
        return notes

    @property
    def command(self) -> str:
        """What opens the file in the program that it is for; empty for the page, which a browser opens."""
        if self.form is Form.EMBEDDING_ATLAS:
            return f"embedding-atlas {self.path} --x x --y y --text formula"
        if self.form is Form.CHEMISCOPE:
            return f"chemiscope.show_input({str(self.path)!r}) in a notebook, or Load at chemiscope.org"
        return ""

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        colouring = self.colouring
        return {
            "output": str(self.path),
            "format": self.form.value,
            "bytes": self.size,
            "datasets": list(self.datasets),
            "encoder": self.feature,
            "projection": self.projection.value,
            "explained_variance": list(self.explained),
            "seed": self.seed,
            "color": None if colouring is None else colouring.name,
            "unit": None if colouring is None else colouring.unit,
            "points": self.points.num_rows,
            "selected": self.selected,
            "embedded": self.embedded,
            "without_value": self.without_value if colouring is not None else 0,
            "without_vector": self.selected - self.embedded,
            "left_out": [vars(one) for one in self.without_vector],
            "structures": self.structures,
            "crystals": self.crystals,
            "notes": self.notes(),
            **({"open_with": self.command} if self.command else {}),
        }

    def lines(self) -> Sequence[Line]:
        """Return the text for people."""
        opened = [f"open it with: {self.command}"] if self.command else []
        return [self.headline, *self.notes(), f"wrote {self.path} ({_size(self.size)})", *opened]

    def to_arrow(self) -> pa.Table:
        """Return the points: ``dataset``, ``material_id``, ``formula``, ``x``, ``y`` and the property."""
        return self.points


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if share < 0.1 else f"{100 * share:.0f} %"  # noqa: PLR2004


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"  # noqa: PLR2004
