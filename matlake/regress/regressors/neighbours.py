"""Nearest neighbours with equal weights."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.regressors.labelled_rows import Weights
from matlake.regress.regressors.regressor import Model, Parameters, fixed_grid

MAX_ROWS: Final = 10_000
"""The head is its rows: 40 MB with 1,024 features."""

_BLOCK: Final = 1 << 21


@dataclass(frozen=True)
class Neighbours:
    """The mean target of the nearest known points.

    Attributes:
        points: float32 [m, d], standardised, no two alike.
        targets: float64 [m].
        count: How many points are averaged.
    """

    points: NDArray[np.float32]
    targets: NDArray[np.float64]
    count: int

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return predictions float64 [n] for standardised features [n, d]."""
        points = self.points.astype(np.float64)
        norms = np.einsum("ij,ij->i", points, points)
        predicted = np.empty(len(x))
        step = max(1, _BLOCK // len(points))
        for start in range(0, len(x), step):
            rows = slice(start, start + step)
            closeness = 2.0 * (x[rows] @ points.T) - norms
            nearest = np.argpartition(-closeness, self.count - 1, axis=1)[:, : self.count]
            predicted[rows] = self.targets[nearest].mean(axis=1)
        return predicted


def _fit_neighbours(
    parameters: Parameters,
    z: NDArray[np.float64],
    y: NDArray[np.float64],
    seed: int,  # noqa: ARG001 - one signature for all
    weights: Weights,  # noqa: ARG001 - likewise
) -> Neighbours:
    """Keep each distinct point once, with the mean of its targets.

    Of equal points, such as polymorphs to an encoder of compositions, the order of a sum would decide which is nearer.
    """
    points, place, count = np.unique(z.astype(np.float32), axis=0, return_inverse=True, return_counts=True)
    targets = np.bincount(place.reshape(-1), weights=y) / count
    return Neighbours(points, targets, min(int(parameters["n_neighbors"]), len(points)))


KNN: Final = Model(
    "knn",
    _fit_neighbours,
    fixed_grid([{"n_neighbors": count} for count in (5, 3, 10)]),
    lambda rng, _: {"n_neighbors": int(rng.integers(1, 25))},
    max_rows=MAX_ROWS,
)
