"""A search by an index: of several layers, whose rows have to be brought together first, or of very many queries."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matlake.store.lake import Lake
from matlake.store.searching.index import Index
from matlake.store.searching.neighbour import Neighbour
from matlake.store.searching.queries import Names


@dataclass(frozen=True)
class IndexedLayers:
    """An index, asked in the words of ``StreamedLayer``.

    Attributes:
        lake: The lake.
        index: The index.
    """

    lake: Lake
    index: Index

    @property
    def feature(self) -> str:
        """``NAME@LAYER+LAYER``."""
        return self.index.feature

    @property
    def recall(self) -> float | None:
        """See ``Index``."""
        return self.index.recall

    @property
    def scale(self) -> NDArray[np.float32] | None:
        """What the encoder's vectors are multiplied by, float32 [d]."""
        return self.index.rows.scale

    def find(self, material_ids: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
        """Return dataset and content, here the number of a row, of the materials that have some ids."""
        return {name: [(home, str(row)) for home, row in self._named(name)] for name in material_ids}

    def vectors_of(self, contents: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of some contents, float32 [c, d], scaled."""
        return self.index.rows.take(np.array(contents, dtype=np.int64))

    def search(
        self,
        vectors: NDArray[np.float32],
        k: int,
        *,
        dataset: str | None = None,
        where: str | None = None,
        exclude: Sequence[Names] = (),
    ) -> list[list[Neighbour]]:
        """Return the k nearest materials of each scaled vector; see ``StreamedLayer.search``."""
        among = None if dataset is None and where is None else self.index.select(dataset, where)
        places = [[place for home, name in names for place in self.index.find(name, home)] for names in exclude]
        found = self.index.nearest(vectors, k, among=among, exclude=places or None)
        return [self.index.neighbours(places, distances) for places, distances in found]

    def _named(self, material_id: str) -> list[tuple[str, int]]:
        places = self.index.find(material_id)
        datasets = self.index.materials["dataset"].take(places).to_pylist()
        return list(zip(datasets, self.index.contents[places].tolist(), strict=True))
