"""The vectors of a layer that a lake holds, as far as an import has to compare them with its own: by digests."""

from collections.abc import Sequence
from functools import cached_property
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.encoders.card import EncoderCard
from matlake.store.embedding.targets import KEY, VECTOR
from matlake.store.external.vectors import read_vectors
from matlake.store.searching.content_words import ContentSet, hash_words
from matlake.store.storage.parquet import open_parquet, read_table
from matlake.store.storage.places import LakePath

_SEED: Final = 20261
"""Of the numbers by which vectors are multiplied: both sides of a comparison are made in one process."""

_BATCH_NUMBERS: Final = 4 << 20


class StoredVectors:
    """What a layer holds.

    Attributes:
        dim: Numbers of a vector; None where nothing is known of the layer.
    """

    def __init__(self, card: EncoderCard | None, layer: str, files: Sequence[LakePath]) -> None:
        """Read what the vectors in some files of a layer belong to."""
        self.dim = next((one.dim for one in card.layers if one.name == layer), None) if card else None
        self._files = files
        words = [hash_words(read_table(file, [KEY])[KEY]) for file in files]
        self._keys = ContentSet(np.concatenate([np.empty((0, 2), np.uint64), *words]))

    @cached_property
    def digests(self) -> NDArray[np.uint64]:
        """Those of the n vectors, uint64 [n, 2]; they are read where some are to be compared."""
        found = [np.empty((0, 2), np.uint64)]
        for file in self._files:
            with open_parquet(file) as parquet:
                batches = parquet.iter_batches(max(1, _BATCH_NUMBERS // (self.dim or 1)), columns=[VECTOR])
                found += [digests_of(read_vectors(batch.column(VECTOR), self.dim)[0]) for batch in batches]
        return np.concatenate(found)

    def places(self, keys: pa.Array) -> NDArray[np.int64]:
        """Return where some keys stand among the n, -1 for those that do not."""
        return self._keys.places(hash_words(keys))

    def count(self, keys: pa.Array) -> int:
        """Return how many of some keys have a vector."""
        return int((self.places(keys) >= 0).sum())


def digests_of(vectors: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Return two digests of each vector, uint64 [n, 2]: sums of its numbers' bits, each times a random odd number.

    Two vectors that differ have the same with a probability of 2⁻⁶² or so. Zeros of both signs are alike.

    Args:
        vectors: float32 [n, d].
    """
    random = np.random.default_rng(_SEED)
    factors = random.integers(0, 1 << 63, (vectors.shape[1], 2), dtype=np.uint64) * 2 + 1
    bits = (vectors + np.float32(0.0)).view(np.uint32).astype(np.uint64)
    return np.stack([(bits * factors[:, place]).sum(axis=1, dtype=np.uint64) for place in (0, 1)], axis=1)
