"""Features that need not be embedded: descriptors, and encoders that a head carries, computed for the rows at hand."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.encoder import Encoder, open_encoder
from matlake.encoders.rejections import NO_CRYSTAL, Materials
from matlake.materials.crystal import CrystalColumns
from matlake.platforms import usable_cores
from matlake.regress.features.carried import encoder_of
from matlake.regress.features.feature import Feature
from matlake.store.lake import Lake

CHUNK_ROWS: Final = 16_384
"""Materials described at once: bounds the memory beside the result's."""

CHUNK_CRYSTALS: Final = 1024
"""Crystals whose graphs are held at once."""


def open_descriptor(lake: Lake, feature: Feature) -> Encoder | None:
    """Open a feature's encoder if it need not be embedded: a head carries it, or it is a descriptor.

    A descriptor is copied into the lake first, as embedding with it would.

    Raises:
        EncoderError: Its file is refused.
        MissingExtraError: ONNX Runtime is not installed.
    """
    registered = encoder_of(lake, feature)
    if feature.carried_by:
        return open_encoder(registered.folder, threads=usable_cores())
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
    reasons = _reasons(descriptor, materials)
    taken = np.flatnonzero([reason is None for reason in reasons])
    for start in range(0, len(taken), CHUNK_ROWS):
        rows = taken[start : start + CHUNK_ROWS]
        vectors[rows] = descriptor.encode(materials.take(rows), layer)
    return reasons


def encode_layers(
    encoder: Encoder, layers: Sequence[str], crystals: CrystalColumns
) -> tuple[NDArray[np.float32], list[str | None]]:
    """Encode crystals with one run of the network for all layers.

    Args:
        encoder: The encoder.
        layers: Names of its layers.
        crystals: n crystals; one without atoms stands for one that is not known.

    Returns:
        float32 [n, d], the layers side by side, undefined where there is no vector; and why, None where there is one.
    """
    reasons = _reasons(encoder, crystals)
    x = np.empty((len(crystals), sum(encoder.card.layer(layer).dim for layer in layers)), dtype=np.float32)
    taken = np.flatnonzero([reason is None for reason in reasons])
    for start in range(0, len(taken), CHUNK_CRYSTALS):
        rows = taken[start : start + CHUNK_CRYSTALS]
        vectors, not_finite = encoder.encode_finite(encoder.inputs(crystals.take(rows)), layers)
        for row, reason in zip(rows, not_finite, strict=True):
            reasons[row] = reason
        x[rows[[reason is None for reason in not_finite]]] = np.concatenate(vectors, axis=1)
    return x, reasons


def _reasons(encoder: Encoder, materials: Materials) -> list[str | None]:
    reasons = encoder.rejections(materials)
    if isinstance(materials, CrystalColumns):
        for row in np.flatnonzero(materials.sizes == 0):
            reasons[row] = NO_CRYSTAL
    return reasons
