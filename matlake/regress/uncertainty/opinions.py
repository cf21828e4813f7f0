"""Second opinions on a prediction: a small kernel machine for each encoder of the features, on that encoder alone.

Where they disagree with the head and with each other, errors are large, also among materials unlike the training rows,
of which errors of the nearest ones say little.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.features.feature import Feature
from matlake.regress.regressors.kernels import Kernel, KernelExpansion
from matlake.regress.uncertainty.projection import Projection

COMPONENTS: Final = 24
"""Principal components of an encoder's features that an opinion rests on."""

LANDMARKS: Final = 300
"""Training rows that its kernel is evaluated at: a matrix product of so many columns."""

_GAMMA: Final = 0.5
"""Of the RBF, for points whose mean squared distance is 2."""

_RIDGES: Final = (1e-5, 1e-4, 1e-3)
_JITTER: Final = 1e-9


@dataclass(frozen=True)
class Opinion:
    """A regressor of one block of the features.

    Attributes:
        columns: The block.
        matrix: float64 [d, p], from its standardised features to points.
        machine: From points to the target on the fitted scale.
    """

    columns: slice
    matrix: NDArray[np.float64]
    machine: KernelExpansion

    def predict(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return predictions float64 [n] on the fitted scale for standardised features float64 [n, d]."""
        return self.machine.predict(z[:, self.columns] @ self.matrix)


@dataclass(frozen=True)
class FoldOpinions:
    """Opinions on the reference rows.

    Attributes:
        fitted: Those of all of them, to be kept.
        near: float64 [m, k], of fits without the row's random fold.
        far: float64 [m, k], of fits without its fold of clusters.
    """

    fitted: tuple[Opinion, ...]
    near: NDArray[np.float64]
    far: NDArray[np.float64]


def encoder_blocks(features: Sequence[Feature]) -> tuple[slice, ...]:
    """Return the columns of each encoder, of neighbouring layers of one encoder together."""
    blocks: list[slice] = []
    names: list[str] = []
    end = 0
    for feature in features:
        start, end = end, end + feature.dim
        if names and names[-1] == feature.encoder:
            start = blocks.pop().start
        else:
            names.append(feature.encoder)
        blocks.append(slice(start, end))
    return tuple(blocks)


def fit_opinions(
    projection: Projection,
    x: NDArray[np.float32],
    labels: NDArray[np.float64],
    blocks: Sequence[slice],
    folds: tuple[NDArray[np.intp], NDArray[np.intp]],
    seed: int,
) -> FoldOpinions:
    """Fit opinions to the reference rows, to all and without each fold.

    Points and landmarks are those of all rows: they know no labels.

    Args:
        projection: With the scaler of the features.
        x: float32 [m, d], of the reference rows.
        labels: float64 [m], on the fitted scale.
        blocks: Columns of the encoders.
        folds: Numbers of the random fold and of the fold of clusters of each row [m]; rows of a negative number are in
            none that was held out.
        seed: Decides which rows are landmarks.
    """
    z = projection.scaler.transform(x)
    drawn = np.sort(np.random.default_rng(seed).permutation(len(x))[:LANDMARKS])
    found = [_fit_block(z[:, columns], labels, columns, drawn, folds) for columns in blocks]
    near, far = np.stack([near for _, near, _ in found], axis=1), np.stack([far for _, _, far in found], axis=1)
    return FoldOpinions(tuple(opinion for opinion, _, _ in found), near, far)


def _fit_block(
    z: NDArray[np.float64],
    labels: NDArray[np.float64],
    columns: slice,
    drawn: NDArray[np.intp],
    folds: tuple[NDArray[np.intp], NDArray[np.intp]],
) -> tuple[Opinion, NDArray[np.float64], NDArray[np.float64]]:
    """Return an opinion, and what it is of the rows when each fold of either kind is left out."""
    from sklearn.decomposition import PCA

    components = PCA(min(COMPONENTS, *z.shape), random_state=0).fit(z).components_
    matrix: NDArray[np.float64] = np.array(components.T, dtype=np.float64)
    points = z @ matrix
    matrix /= float(np.sqrt(np.mean(np.einsum("ij,ij->i", points, points)))) or 1.0
    points = z @ matrix
    landmarks = points[drawn].astype(np.float32)
    kernel = Kernel(_GAMMA, 0.0)
    values = kernel.between(points, landmarks.astype(np.float64))
    own = kernel.gram(landmarks, np.float64)
    held = {ridge: _held_out(values, own, labels, folds[0], ridge) for ridge in _RIDGES}
    known = folds[0] >= 0
    ridge = min(held, key=lambda one: float(np.abs(held[one] - labels)[known].mean()))
    weights, mean = _solve(values, own, labels, ridge)
    machine = KernelExpansion(landmarks, weights, kernel, np.zeros(matrix.shape[1]), mean)
    return Opinion(columns, matrix, machine), held[ridge], _held_out(values, own, labels, folds[1], ridge)


def _held_out(
    values: NDArray[np.float64],
    own: NDArray[np.float64],
    labels: NDArray[np.float64],
    folds: NDArray[np.intp],
    ridge: float,
) -> NDArray[np.float64]:
    """Return predictions float64 [m] of fits without the row's fold; NaN where it is in none."""
    predicted = np.full(len(labels), np.nan)
    for number in np.unique(folds[folds >= 0]):
        rows = folds != number
        if rows.any():
            weights, mean = _solve(values[rows], own, labels[rows], ridge)
            predicted[~rows] = values[~rows] @ weights + mean
    return predicted


def _solve(
    values: NDArray[np.float64], own: NDArray[np.float64], labels: NDArray[np.float64], ridge: float
) -> tuple[NDArray[np.float64], float]:
    """Return weights and intercept of a ridge regression on the subset of regressors.

    Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), equation 8.14.
    """
    mean = float(labels.mean())
    gram = values.T @ values + ridge * len(values) * own
    gram.flat[:: len(gram) + 1] += _JITTER * float(np.trace(gram)) / len(gram)
    return np.linalg.solve(gram, values.T @ (labels - mean)).astype(np.float64), mean
