"""Crystals as an encoder sees them before it is fine-tuned: they are split by that, and compared with it."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.encoder import open_encoder
from matlake.encoders.registry import RegisteredEncoder
from matlake.materials.crystal import CrystalColumns
from matlake.regress.features.descriptors import encode_layers
from matlake.regress.features.labels import Missing
from matlake.regress.features.matrix import Matrix


@dataclass(frozen=True)
class FrozenRows:
    """Labelled crystals that an encoder takes.

    Attributes:
        matrix: The rows; features are the encoder's default layer, as it is before any training.
        frozen: float32 [n, d], all of its hidden layers.
        blocks: Lengths of these.
    """

    matrix: Matrix
    frozen: NDArray[np.float32]
    blocks: tuple[int, ...]

    @property
    def default_dim(self) -> int:
        """Length of the default layer."""
        return int(self.matrix.x.shape[1])

    @property
    def crystals(self) -> CrystalColumns:
        """Their crystals."""
        assert self.matrix.crystals is not None  # noqa: S101 - they were asked for
        return self.matrix.crystals


def frozen_rows(matrix: Matrix, source: RegisteredEncoder) -> FrozenRows:
    """Encode crystals with an encoder as it is, before any training; rows that it does not take are listed as missing.

    Args:
        matrix: Rows with crystals, and no features.
        source: The encoder.
    """
    assert matrix.crystals is not None  # noqa: S101 - they were asked for
    encoder = open_encoder(source.folder)
    layers = encoder.card.hidden_layers or (encoder.card.layer(None),)
    names = [layer.name for layer in layers]
    default = encoder.card.layer(None)
    if default.name not in names:
        layers, names = (*layers, default), [*names, default.name]
    frozen, reasons = encode_layers(encoder, names, matrix.crystals)
    missing = [
        Missing(matrix.dataset[row], matrix.material_id[row], source.card.name, reason)
        for row, reason in enumerate(reasons)
        if reason is not None
    ]
    kept = np.flatnonzero([reason is None for reason in reasons])
    blocks = tuple(layer.dim for layer in layers)
    start = sum(blocks[: names.index(default.name)])
    matrix = replace(matrix, x=frozen[:, start : start + default.dim], missing=(*matrix.missing, *missing))
    return FrozenRows(matrix.take(kept), frozen[kept], blocks)
