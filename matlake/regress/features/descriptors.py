"""Features that need not be embedded: descriptors, computed for the rows at hand."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.encoder import Encoder, open_encoder
from matlake.encoders.rejections import NO_CRYSTAL, Materials
from matlake.materials.crystal import CrystalColumns
from matlake.regress.features.feature import Feature
from matlake.store.lake import Lake

CHUNK_ROWS: Final = 16_384
"""Materials described at once: bounds the memory beside the result's."""


def open_descriptor(lake: Lake, feature: Feature) -> Encoder | None:
    """Open a feature's encoder if it is a descriptor, after copying it into the lake as embedding with it would.

    Raises:
        EncoderError: Its file is refused.
        MissingExtraError: ONNX Runtime is not installed.
    """
    registered = lake.find_encoder(feature.encoder)
    if not registered.card.is_descriptor:
        return None
    return open_encoder(lake.keep_encoder(registered).folder)


def describe(descriptor: Encoder, layer: str, materials: Materials, vectors: NDArray[np.float32]) -> list[str | None]:
    """Compute a descriptor of compositions or crystals.

    Args:
        descriptor: The descriptor.
        layer: Name of its layer.
        materials: n materials; a crystal without atoms stands for one that is not known.
        vectors: float32 [n, d], filled for all rows that the descriptor takes.

    Returns:
        Why a row has no vector; None where it has one.
    """
    reasons = descriptor.rejections(materials)
    if isinstance(materials, CrystalColumns):
        for row in np.flatnonzero(materials.sizes == 0):
            reasons[row] = NO_CRYSTAL
    taken = np.flatnonzero([reason is None for reason in reasons])
    for start in range(0, len(taken), CHUNK_ROWS):
        rows = taken[start : start + CHUNK_ROWS]
        vectors[rows] = descriptor.encode(materials.take(rows), layer)
    return reasons
