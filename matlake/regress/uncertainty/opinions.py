"""Second opinions on a prediction: a small kernel machine for each encoder of the features, on that encoder alone.

Columns of the user's own are known to each of them: without its temperature no encoder has an opinion on a material.

Where they disagree with the head and with each other, errors are large, also among materials unlike the training rows,
of which errors of the nearest ones say little.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.features.feature import Feature, columns_of
from matlake.regress.regressors.feature_rows import Features, row_blocks, take_rows
from matlake.regress.regressors.kernels import Kernel, KernelExpansion
from matlake.regress.uncertainty.projection import FIT_ROWS, Projection, components_beside, root_mean_square

COMPONENTS: Final = 24
"""Principal components of an encoder's features that an opinion rests on."""

LANDMARKS: Final = 300
"""Training rows that its kernel is evaluated at: a matrix product of so many columns."""

_GAMMA: Final = 0.5
"""Of the RBF, for points whose mean squared distance is 2."""

_RIDGES: Final = (1e-5, 1e-4, 1e-3)
_JITTER: Final = 1e-9
_BLOCK_ROWS: Final = 8192


@dataclass(frozen=True)
class Opinion:
    """A regressor of one block of the features.

    Attributes:
        columns: The block: neighbouring features, and apart from them columns of the user's own.
        matrix: float64 [d, p], from its standardised features to points.
        machine: From points to the target on the fitted scale.
    """

    columns: tuple[slice, ...]
    matrix: NDArray[np.float64]
    machine: KernelExpansion

    def predict(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return predictions float64 [n] on the fitted scale for standardised features float64 [n, d]."""
        return self.machine.predict(_cut(z, self.columns) @ self.matrix)


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


@dataclass(frozen=True)
class Block:
    """Features that an opinion rests on.

    Attributes:
        columns: Where they are among all features; the user's own columns come last.
        own: Number of these.
    """

    columns: tuple[slice, ...]
    own: int = 0


def encoder_blocks(features: Sequence[Feature]) -> tuple[Block, ...]:
    """Return the blocks of encoders, neighbouring layers of one encoder together, each with the user's own columns."""
    blocks: list[slice] = []
    names: list[str] = []
    end = 0
    for feature in features:
        start, end = end, end + feature.dim
        if names and names[-1] == feature.encoder:
            start = blocks.pop().start
            names.pop()
        names.append(feature.encoder)
        blocks.append(slice(start, end))
    own = tuple(block for block, name in zip(blocks, names, strict=True) if not name)
    count = len(columns_of(features))
    found = [Block((block, *own), count) for block, name in zip(blocks, names, strict=True) if name]
    return tuple(found) or (Block(own, count),)


def _cut(z: NDArray[np.float64], columns: tuple[slice, ...]) -> NDArray[np.float64]:
    return z[:, columns[0]] if len(columns) == 1 else np.concatenate([z[:, one] for one in columns], axis=1)


def fit_opinions(
    projection: Projection,
    x: Features,
    labels: NDArray[np.float64],
    blocks: Sequence[Block],
    folds: tuple[NDArray[np.intp], NDArray[np.intp]],
    seed: int,
) -> FoldOpinions:
    """Fit opinions to the reference rows, to all and without each fold.

    Points and landmarks are those of all rows: they know no labels.

    Args:
        projection: With the scaler of the features.
        x: float32 [m, d], of the reference rows; components are those of ``FIT_ROWS`` of them.
        labels: float64 [m], on the fitted scale.
        blocks: Of the encoders.
        folds: Numbers of the random fold and of the fold of clusters of each row [m]; rows of a negative number are in
            none that was held out.
        seed: Decides which rows are landmarks.
    """
    order = np.random.default_rng(seed).permutation(len(x))
    drawn, fitted = np.sort(order[:LANDMARKS]), np.sort(order[:FIT_ROWS])
    z = projection.scaler.transform(take_rows(x, fitted))
    matrices = [_components(_cut(z, block.columns), block) for block in blocks]
    del z
    standardised = (projection.scaler.transform(part) for _, part in row_blocks(x))
    parts = [
        [_cut(part, block.columns) @ matrix for block, matrix in zip(blocks, matrices, strict=True)]
        for part in standardised
    ]
    points = [np.concatenate(own) for own in zip(*parts, strict=True)]
    found = [
        _fit_block(own, labels, block, matrix, drawn, folds)
        for own, block, matrix in zip(points, blocks, matrices, strict=True)
    ]
    near, far = np.stack([near for _, near, _ in found], axis=1), np.stack([far for _, _, far in found], axis=1)
    return FoldOpinions(tuple(opinion for opinion, _, _ in found), near, far)


def _components(z: NDArray[np.float64], block: Block) -> NDArray[np.float64]:
    """Return the map of a block's standardised features to points, float64 [d, p]."""
    own = range(z.shape[1] - block.own, z.shape[1])
    matrix = components_beside(z, own, COMPONENTS, seed=0)
    return matrix / root_mean_square(z @ matrix)


def _fit_block(
    points: NDArray[np.float64],
    labels: NDArray[np.float64],
    block: Block,
    matrix: NDArray[np.float64],
    drawn: NDArray[np.intp],
    folds: tuple[NDArray[np.intp], NDArray[np.intp]],
) -> tuple[Opinion, NDArray[np.float64], NDArray[np.float64]]:
    """Return an opinion, and what it is of the rows when each fold of either kind is left out."""
    landmarks = points[drawn].astype(np.float32)
    kernel = Kernel(_GAMMA, 0.0)
    values = np.empty((len(points), len(landmarks)))
    for start in range(0, len(points), _BLOCK_ROWS):
        some = slice(start, start + _BLOCK_ROWS)
        values[some] = kernel.between(points[some], landmarks.astype(np.float64))
    gram, everything = kernel.gram(landmarks, np.float64), _Sums.of(values, labels)
    held = _held_out(values, gram, labels, folds[0], everything, _RIDGES)
    known = folds[0] >= 0
    ridge = min(_RIDGES, key=lambda one: float(np.abs(held[one] - labels)[known].mean()))
    weights, mean = everything.solve(gram, ridge)
    machine = KernelExpansion(landmarks, weights, kernel, np.zeros(matrix.shape[1]), mean)
    far = _held_out(values, gram, labels, folds[1], everything, (ridge,))
    return Opinion(block.columns, matrix, machine), held[ridge], far[ridge]


def _held_out(
    values: NDArray[np.float64],
    own: NDArray[np.float64],
    labels: NDArray[np.float64],
    folds: NDArray[np.intp],
    everything: "_Sums",
    ridges: Sequence[float],
) -> dict[float, NDArray[np.float64]]:
    """Return for each ridge predictions float64 [m] of fits without the row's fold; NaN where it is in none."""
    predicted = {ridge: np.full(len(labels), np.nan) for ridge in ridges}
    for number in np.unique(folds[folds >= 0]):
        held = np.flatnonzero(folds == number)
        if len(held) < len(labels):
            rest = everything.without(_Sums.of(values[held], labels[held]))
            for ridge in ridges:
                weights, mean = rest.solve(own, ridge)
                predicted[ridge][held] = values[held] @ weights + mean
    return predicted


@dataclass(frozen=True)
class _Sums:
    """Sums over rows, which are all that a fit needs of them: those without a fold are a difference.

    Attributes:
        rows: Number of them.
        label: Of the labels.
        values: float64 [k], of the kernel at each landmark.
        cross: float64 [k], of its products with the labels.
        gram: float64 [k, k], of its products at two landmarks.
    """

    rows: int
    label: float
    values: NDArray[np.float64]
    cross: NDArray[np.float64]
    gram: NDArray[np.float64]

    @staticmethod
    def of(values: NDArray[np.float64], labels: NDArray[np.float64]) -> "_Sums":
        """Return those of rows, with values of the kernel float64 [m, k] and labels float64 [m]."""
        return _Sums(len(labels), float(labels.sum()), values.sum(axis=0), labels @ values, values.T @ values)

    def without(self, others: "_Sums") -> "_Sums":
        """Return those of the rows less some of them."""
        return _Sums(
            self.rows - others.rows,
            self.label - others.label,
            self.values - others.values,
            self.cross - others.cross,
            self.gram - others.gram,
        )

    def solve(self, own: NDArray[np.float64], ridge: float) -> tuple[NDArray[np.float64], float]:
        """Return weights and intercept of a ridge regression on the subset of regressors.

        Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), equation 8.14.

        Args:
            own: float64 [k, k], of the landmarks.
            ridge: For each row.
        """
        mean = self.label / self.rows
        gram = self.gram + ridge * self.rows * own
        gram.flat[:: len(gram) + 1] += _JITTER * float(np.trace(gram)) / len(gram)
        return np.linalg.solve(gram, self.cross - mean * self.values).astype(np.float64), mean
