"""The vectors of contents, of one layer or of several side by side, that can be read in any order."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from matlake.store.searching.content_words import ContentSet
from matlake.store.searching.k_nearest import squares_of
from matlake.store.searching.layer_rows import LayerRows
from matlake.store.searching.stored_rows import rows_of_block

_Blocks = Iterator[tuple[int, NDArray[np.float32], NDArray[np.float32]]]


class ContentRows(ABC):
    """Rows of contents, numbered from 0.

    Attributes:
        words: The contents, uint64 [n, 2].
        live: bool [n], rows that the lake still has; None for all.
        scale: float32 [d], what the encoder's vectors are multiplied by; None where they are as they are.
        dim: Numbers of a vector.
    """

    words: NDArray[np.uint64]
    live: NDArray[np.bool_] | None
    scale: NDArray[np.float32] | None
    dim: int

    @abstractmethod
    def blocks(self) -> _Blocks:
        """Yield the number of a block's first row, its vectors float32 [b, d], and their squared norms [b]."""

    @abstractmethod
    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors of some rows, float32 [r, d]."""

    def __len__(self) -> int:
        """Return the number of rows, live or not."""
        return len(self.words)


class OneLayer(ContentRows):
    """The rows of one layer, as the encoder made them.

    Attributes:
        roots: Folders for what is kept of them.
        parts: Names of the parts that they came from.
    """

    scale = None

    def __init__(self, rows: LayerRows) -> None:
        """Hold the rows of a layer; see ``LayerRows.hold``."""
        rows.hold()
        self.dim = rows.layer.dim
        self._stored = rows.stored
        self.roots = rows.roots
        self.parts = frozenset[str]().union(*(stored.used for stored in rows.stored))
        self._starts = np.cumsum([0, *map(len, rows.stored)])
        self.words = np.concatenate([np.empty((0, 2), np.uint64), *(stored.words for stored in rows.stored)])
        self.live = None
        if any(stored.live is not None for stored in rows.stored):
            every = [np.ones(len(one), dtype=bool) if one.live is None else one.live for one in rows.stored]
            self.live = np.concatenate(every)

    def blocks(self) -> _Blocks:
        """Yield the rows in blocks."""
        for start, stored in zip(self._starts.tolist(), self._stored, strict=False):
            for block in stored.blocks():
                yield start + block.start, block.vectors, block.squares

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors of some rows; a view where they stand one after another."""
        home = np.searchsorted(self._starts, rows, side="right") - 1
        if len(rows) and (home == home[0]).all():
            local, stored = rows - self._starts[home[0]], self._stored[home[0]]
            if (np.diff(local) == 1).all():
                joined: NDArray[np.float32] = stored.vectors[local[0] : local[-1] + 1]
                return joined
            taken: NDArray[np.float32] = stored.take(local)
            return taken
        found = np.empty((len(rows), self.dim), dtype=np.float32)
        for one in np.unique(home).tolist():
            found[home == one] = self._stored[one].take(rows[home == one] - self._starts[one])
        return found


class JoinedLayers(ContentRows):
    """The contents that have all of some layers, with the layers side by side.

    Layers differ in scale by their nature, so each is divided by the distance between two materials of the lake in that
    layer (root mean square) and by the root of their number: squared distances are then means over the layers, and 1 is
    how far apart two materials usually are.
    """

    def __init__(self, layers: Sequence[OneLayer], counted: ContentSet) -> None:
        """Find the contents that all layers have, and the scale of each layer.

        Args:
            layers: The layers.
            counted: Contents that some material holds: the others do not count.
        """
        first = layers[0]
        rows = np.flatnonzero(counted.contains(first.words) & (True if first.live is None else first.live))
        rows = rows[ContentSet(first.words[rows]).places(first.words[rows]) == np.arange(len(rows))]
        places = [rows]
        for layer in layers[1:]:
            among = np.arange(len(layer)) if layer.live is None else np.flatnonzero(layer.live)
            found = ContentSet(layer.words[among]).places(first.words[rows])
            places.append(np.where(found >= 0, among[found] if len(among) else -1, -1))
        shared = np.logical_and.reduce([place >= 0 for place in places])
        self._layers = layers
        self._places = [place[shared] for place in places]
        self.words, self.live = first.words[rows[shared]], None
        self.dim = sum(layer.dim for layer in layers)
        self.scale = np.concatenate([self._scale(number) for number in range(len(layers))]).astype(np.float32)

    def blocks(self) -> _Blocks:
        """Yield the rows in blocks."""
        step = rows_of_block(self.dim)
        for start in range(0, len(self), step):
            vectors = self.take(np.arange(start, min(start + step, len(self))))
            yield start, vectors, squares_of(vectors)

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors of some rows, scaled."""
        assert self.scale is not None  # noqa: S101 - joined layers have one
        vectors = [layer.take(place[rows]) for layer, place in zip(self._layers, self._places, strict=True)]
        joined: NDArray[np.float32] = np.concatenate(vectors, axis=1)
        joined *= self.scale
        return joined

    def _scale(self, number: int) -> NDArray[np.float64]:
        """Return √(2 Σⱼ var vⱼ) of a layer, times the root of their number, as what its numbers are multiplied by."""
        layer, places = self._layers[number], self._places[number]
        step = rows_of_block(layer.dim)
        total, squares = np.zeros(layer.dim), np.zeros(layer.dim)
        shift = layer.take(places[:1]).astype(np.float64).sum(axis=0)  # variances do not change; digits are not lost
        for start in range(0, len(places), step):
            vectors = layer.take(places[start : start + step]) - shift
            total += vectors.sum(axis=0)
            squares += np.einsum("ij,ij->j", vectors, vectors)
        count = max(1, len(places))
        spread = float(np.sqrt(2.0 * np.maximum(0.0, squares / count - (total / count) ** 2).sum()))
        return np.full(layer.dim, (1.0 / spread if spread > 0.0 else 1.0) / np.sqrt(len(self._layers)))
