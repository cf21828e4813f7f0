"""``Lake.map``: embeddings in two dimensions, as a page or for other programs."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from matlake.api.searching import SearchedLake
from matlake.progress import Progress, watched
from matlake.sequences import as_list

if TYPE_CHECKING:
    from matlake.maps.report import MapReport


@dataclass(frozen=True, repr=False)
class MappedLake(SearchedLake):
    """A lake that can be mapped."""

    def map(
        self,
        dataset: str | Iterable[str],
        encoder: str,
        color: str | None = None,
        *,
        output: str | Path | None = None,
        export: str | None = None,
        projection: str = "pca",
        where: str | None = None,
        structures: int = 10_000,
        max_points: int = 100_000,
        title: str | None = None,
        seed: int = 0,
        progress: bool | Progress = True,
    ) -> "MapReport":
        """Draw a map of a dataset as a page that works offline, and return its points.

        Materials whose embeddings are alike are near each other. The page has search, selection and crystals.

        Args:
            dataset: One dataset; or several: the axes are those of the first, the others are placed on them.
            encoder: ``NAME`` or ``NAME@LAYER``; ``NAME@1+2`` and ``NAME@all`` map several layers of equal weight.
            color: Property that colours the points; by default they have one colour.
            output: The file; by default ``map.html``, ``map.json.gz`` or ``map.parquet`` in the current folder.
            export: ``chemiscope``, ``embedding-atlas`` or ``parquet`` instead of the page.
            projection: ``pca`` or ``umap``.
            where: Only materials that this SQL predicate selects.
            structures: At most so many crystals in the file, drawn at random from more.
            max_points: At most so many materials, drawn at random from more.
            title: Of the page; by default that of the dataset and the property.
            seed: Seeds everything random.
            progress: Whether a terminal or a notebook shows the progress; or what to report to.

        Raises:
            MatlakeError: See ``matlake.make_map``.
        """
        from matlake.maps.make import make_map
        from matlake.maps.request import MapRequest

        request = MapRequest(
            as_list(dataset), encoder, color, output, export, projection, where, structures, max_points, title, seed
        )
        with watched(progress, "drawing", "crystals") as reporter:
            return make_map(self, request, reporter)
