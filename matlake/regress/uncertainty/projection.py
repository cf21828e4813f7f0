"""The space in which a head measures distances: principal components of its standardised features.

It is a linear map, so it becomes a second output of the head's ONNX file, and a new material can be placed in it.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

DIMENSIONS: Final = 32
"""Components kept: on ten real properties, distances in 32 rank errors as well as distances in all features do."""


@dataclass(frozen=True)
class Projection:
    """An affine map from features to coordinates.

    Attributes:
        mean: float64 [d], of the training rows.
        matrix: float64 [d, p].
    """

    mean: NDArray[np.float64]
    matrix: NDArray[np.float64]

    def apply(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return coordinates float32 [n, p] of features float32 [n, d]."""
        return ((x - self.mean) @ self.matrix).astype(np.float32)


def fit_projection(x: NDArray[np.float32], seed: int) -> Projection:
    """Fit the projection to training rows.

    Args:
        x: float32 [n, d].
        seed: Of the randomised decomposition.
    """
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    wide = x.astype(np.float64)
    scaler = StandardScaler().fit(wide)
    components = min(DIMENSIONS, *x.shape)
    pca = PCA(components, random_state=seed).fit(scaler.transform(wide))
    return Projection(scaler.mean_, pca.components_.T / scaler.scale_[:, None])
