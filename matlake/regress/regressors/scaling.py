"""Standardisation of features, fitted to training rows."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.regressors.feature_rows import Features, row_blocks

LIMIT: Final = 5.0
"""Standard deviations beyond which a feature counts as just as far.

A feature that is the same in nearly all training rows and not in a new one would be hundreds of them away, and a linear
model, a kernel with a linear part or a network follows: band gaps of hundreds of eV were predicted, with ``magpie``
even on a random split.
"""

_SMALLEST: Final = float(np.finfo(np.float32).eps)


@dataclass(frozen=True)
class Scaler:
    """Takes each feature to mean 0 and standard deviation 1 over the training rows, and at most ``LIMIT`` from 0.

    Attributes:
        mean: float64 [d].
        scale: float64 [d], positive.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]

    def transform(self, x: Features) -> NDArray[np.float64]:
        """Return features [n, d] standardised in float64: embeddings are collinear, and linear models that have large,
        opposite coefficients leave no digits of float32.
        """  # noqa: D205 - one sentence
        scaled = np.empty(x.shape)
        for part, block in row_blocks(x):
            own = np.subtract(block, self.mean, out=scaled[part])
            own /= self.scale
            np.clip(own, -LIMIT, LIMIT, out=own)
        return scaled


def fit_scaler(x: Features) -> Scaler:
    """Fit a scaler.

    A feature that varies less than float32 resolves is only centred: what it varies by is rounding.

    Args:
        x: float32 [n, d], training rows.
    """
    sums = [block.sum(axis=0, dtype=np.float64) for _, block in row_blocks(x)]
    mean: NDArray[np.float64] = np.sum(sums, axis=0) / len(x)
    squares = np.zeros(x.shape[1])
    for _, block in row_blocks(x):
        apart = block - mean
        squares += np.einsum("ij,ij->j", apart, apart)
    scale = np.sqrt(squares / len(x))
    scale[scale <= _SMALLEST * np.abs(mean)] = 1.0
    return Scaler(mean, scale)
