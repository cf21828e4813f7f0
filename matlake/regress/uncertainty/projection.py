"""The space in which a head measures distances: principal components of its standardised features.

It is a linear map of the features that regressors see, so it becomes a second output of the head's ONNX file, and a new
material can be placed in it.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.regressors.scaling import Scaler, fit_scaler

DIMENSIONS: Final = 32
"""Components kept: on ten real properties, distances in 32 rank errors as well as distances in all features do."""


@dataclass(frozen=True)
class Projection:
    """A map from features to coordinates.

    Standardised features are limited as those of regressors are. Distances are limited with them: without, one feature
    that is the same in nearly all training rows and not in a new one made scores of hundreds of thousands.

    Attributes:
        scaler: Of the features.
        matrix: float64 [d, p], from standardised features to coordinates.
    """

    scaler: Scaler
    matrix: NDArray[np.float64]

    def apply(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return coordinates float32 [n, p] of features float32 [n, d]."""
        return (self.scaler.transform(x) @ self.matrix).astype(np.float32)


def fit_projection(x: NDArray[np.float32], seed: int) -> Projection:
    """Fit the projection to training rows.

    Args:
        x: float32 [n, d].
        seed: Of the randomised decomposition.
    """
    from sklearn.decomposition import PCA

    scaler, standardised = fit_scaler(x)
    components = PCA(min(DIMENSIONS, *x.shape), random_state=seed).fit(standardised).components_
    return Projection(scaler, components.T)
