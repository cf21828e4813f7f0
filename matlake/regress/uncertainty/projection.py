"""The space in which a head measures distances: principal components of its standardised features.

Columns of the user's own stand beside the components of the rest, and weigh as much as these together: among hundreds
of numbers that describe a composition, a temperature would not count.

It is a linear map of the features that regressors see, so it becomes a second output of the head's ONNX file, and a new
material can be placed in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.regressors.feature_rows import Features, row_blocks
from matlake.regress.regressors.scaling import Scaler, fit_scaler

FIT_ROWS: Final = 10_000
"""Rows that components are fitted to at most, drawn at random: of many more they are the same to a per cent."""

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

    def apply(self, x: Features) -> NDArray[np.float32]:
        """Return coordinates float32 [n, p] of features float32 [n, d]."""
        return np.concatenate([self._apply(block) for _, block in row_blocks(x)])

    def _apply(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        return (self.scaler.transform(x) @ self.matrix).astype(np.float32)


def fit_projection(x: NDArray[np.float32], seed: int, own: Sequence[int] = ()) -> Projection:
    """Fit the projection to training rows.

    Args:
        x: float32 [n, d].
        seed: Of the randomised decomposition.
        own: Places of the user's own columns.
    """
    scaler = fit_scaler(x)
    return Projection(scaler, components_beside(scaler.transform(x), own, DIMENSIONS, seed))


def components_beside(z: NDArray[np.float64], own: Sequence[int], count: int, seed: int) -> NDArray[np.float64]:
    """Return a map float64 [d, p] to principal components of features, with columns beside these.

    Args:
        z: float64 [n, d], standardised.
        own: Places of the columns; where there are others, both parts have a mean square of 1.
        count: Components at most.
        seed: Of the randomised decomposition.
    """
    from sklearn.decomposition import PCA

    rest = np.setdiff1d(np.arange(z.shape[1]), own)
    if not len(rest):
        return np.eye(len(own))
    others = z[:, rest] if own else z
    fitted = PCA(min(count, *others.shape), random_state=seed).fit(others)
    components = np.array(fitted.components_.T, dtype=np.float64)
    if not own:
        return components
    matrix = np.zeros((z.shape[1], components.shape[1] + len(own)))
    matrix[rest, : components.shape[1]] = components / root_mean_square(others @ components)
    matrix[list(own), range(components.shape[1], matrix.shape[1])] = 1.0 / root_mean_square(z[:, list(own)])
    return matrix


def root_mean_square(points: NDArray[np.float64]) -> float:
    """Return the root of the mean squared length of points float64 [n, p]; 1 where all are at the origin."""
    return float(np.sqrt(np.mean(np.einsum("ij,ij->i", points, points)))) or 1.0
