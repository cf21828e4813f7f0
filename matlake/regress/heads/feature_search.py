"""The choice among several features: which of them help, within the training materials and outside.

A layer can help where materials like those of the training rows are asked, and mislead elsewhere: frozen layers of a
network of formation energies halved nothing on random folds and doubled errors on clusters of compositions that were
left out. So sets of features are measured on both kinds of folds, by kernel ridge regression, whose held-out errors of
any folds follow from one inverse.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from matlake.regress.features.feature import Feature, places_of_columns
from matlake.regress.features.matrix import Matrix
from matlake.regress.heads.feature_choice import FeatureChoice, FeatureErrors
from matlake.regress.regressors import fit_model
from matlake.regress.regressors.gaussian_process import GAUSSIAN_PROCESS
from matlake.regress.regressors.kernels import rational_quadratic
from matlake.regress.regressors.scaling import fit_scaler
from matlake.regress.splits import HeldOut, grouped_folds, subsample
from matlake.regress.splits.composition_clusters import composition_clusters
from matlake.regress.targets.target_space import PLAIN, TargetSpace

MAX_ROWS: Final = 1000
"""Rows used: an inverse of so many takes a tenth of a second."""

MIN_ROWS: Final = 100
"""With fewer, errors of sets differ by chance alone: all features are used."""

MAX_SETS: Final = 200
"""Sets measured at most: half a minute."""

FOLDS: Final = 5
CLUSTERS: Final = 5

WORTH_IT: Final = 0.99
"""The error on random folds must fall below that share of the error of all features."""

GAMMAS: Final = (0.25, 1.0)
RIDGES: Final = (0.003, 0.03, 0.3)

_Set: TypeAlias = tuple[int, ...]
Folds: TypeAlias = list[NDArray[np.intp]]
"""The rows held out by each fold."""


def choose_features(
    matrix: Matrix,
    held_out: HeldOut,
    features: Sequence[Feature],
    seed: int,
    seconds: float | None = None,
    space: TargetSpace = PLAIN,
) -> FeatureChoice | None:
    """Choose among features by leaving out what does not help.

    From all features, one feature or all layers of one encoder are left out at a time: what leaves the smallest product
    of both errors, of all that improves the error on random folds and does not worsen that on clusters.

    Args:
        matrix: All rows.
        held_out: Which of them are trained on; no others take part.
        features: In the order of the matrix.
        seed: Decides the random folds and the subsample.
        seconds: Time after which no further set is measured; None for no limit.
        space: The scale on which the target is fitted, and its bounds.

    Returns:
        The choice; None where there is none: one feature, fewer than ``MIN_ROWS`` rows, or too few compositions to
        leave out clusters of them.
    """
    started, trained = time.monotonic(), held_out.train
    if len(features) < 2:  # noqa: PLR2004 - there is nothing to choose
        return None
    rows = trained[subsample(matrix.groups[trained], MAX_ROWS, seed)]
    if len(rows) < MIN_ROWS or len(np.unique(matrix.groups[rows])) < 2 * CLUSTERS:
        return None
    random = [held for _, held in grouped_folds(matrix.groups[rows], FOLDS, seed)]
    clusters = cluster_folds(matrix.fractions[rows])
    measured = SetErrors(matrix.x[rows], matrix.y[rows], [feature.dim for feature in features], random, clusters, space)

    def is_over() -> bool:
        late = seconds is not None and time.monotonic() - started >= seconds
        return late or len(measured.errors) >= MAX_SETS

    everything = tuple(range(len(features)))
    chosen = leave_out(measured, everything, [feature.encoder for feature in features], is_over)
    named = {one: measured.named(one, features) for one in measured.errors}
    first = named[everything]
    if named[chosen].random_mae > WORTH_IT * first.random_mae:
        chosen = everything
    worse = [one for one in named.values() if one.random_mae < WORTH_IT * named[chosen].random_mae]
    refused = min(
        (one for one in worse if one.cluster_mae > named[chosen].cluster_mae),
        key=lambda one: one.random_mae,
        default=None,
    )
    cut_short = is_over()
    learned = None if cut_short or len(chosen) == 1 else measured.learned_mae(chosen, seed)
    return FeatureChoice(first, named[chosen], refused, len(named), len(rows), learned, cut_short)


def with_features(
    matrix: Matrix, features: Sequence[Feature], names: Sequence[str]
) -> tuple[Matrix, tuple[Feature, ...]]:
    """Return a matrix with only those of its features that are named, and these, in their order."""
    ends = np.cumsum([feature.dim for feature in features]).tolist()
    kept = [(feature, end) for feature, end in zip(features, ends, strict=True) if feature.feature in names]
    if len(kept) == len(features):
        return matrix, tuple(features)
    x = np.concatenate([matrix.x[:, end - feature.dim : end] for feature, end in kept], axis=1)
    features = tuple(feature for feature, _ in kept)
    return replace(matrix, x=x, own=places_of_columns(features)), features


def cluster_folds(fractions: NDArray[np.float32]) -> Folds:
    """Return the rows of each of ``CLUSTERS`` clusters of compositions, by their fractions [n, elements]."""
    labels = composition_clusters(fractions, CLUSTERS)
    return [np.flatnonzero(labels == label) for label in range(CLUSTERS)]


def leave_out(measured: "SetErrors", everything: _Set, encoders: Sequence[str], is_over: Callable[[], bool]) -> _Set:
    """Return what is left when nothing more can be left out, or there is no time."""
    current = everything
    while len(current) > 1:
        best = current
        for smaller in _smaller(current, encoders):
            if is_over():
                return current if best == current else best
            if measured.improves(smaller, current) and measured.product(smaller) < measured.product(best):
                best = smaller
        if best == current:
            return current
        current = best
    return current


def _smaller(current: _Set, encoders: Sequence[str]) -> Iterator[_Set]:
    """Yield the set without each of its features, and without all features of each encoder that has several."""
    owners = [encoders[place] for place in current]
    for place in current:
        yield tuple(other for other in current if other != place)
    for name in dict.fromkeys(owners):
        if 1 < owners.count(name) < len(owners):
            yield tuple(place for place in current if encoders[place] != name)


@dataclass(frozen=True)
class BlockDistances:
    """Mean squared differences [n, n] of n rows within each of several blocks of features, standardised."""

    blocks: list[NDArray[np.float32]]

    @staticmethod
    def of(x: NDArray[np.float32], lengths: Sequence[int]) -> "BlockDistances":
        """Measure them for rows float32 [n, d] of blocks with these lengths."""
        z = fit_scaler(x).transform(x)
        ends = zip(np.cumsum(lengths), lengths, strict=True)
        return BlockDistances([_mean_squares(z[:, end - length : end].astype(np.float32)) for end, length in ends])

    def inverse(self, one: _Set, gamma: float, ridge: float) -> NDArray[np.float64]:
        """Return the inverse [n, n] of the kernel of some blocks, with a constant and a ridge."""
        squares = np.array([self.blocks[place] * np.float32(gamma) for place in one])
        together = rational_quadratic(squares.mean(axis=0))
        alone = rational_quadratic(squares).mean(axis=0)
        gram = ((alone + together) / 2.0).astype(np.float64)
        gram += 1.0  # a constant
        gram.flat[:: len(gram) + 1] += ridge
        return _inverse(gram)


def held_out_values(inverse: NDArray[np.float64], values: NDArray[np.float64], folds: Folds) -> NDArray[np.float64]:
    """Return what kernel ridge regression predicts for rows of folds, each from the other rows; NaN in no fold.

    With w = A⁻¹y the residuals of rows F, had they been left out, are ((A⁻¹)_FF)⁻¹ w_F (Pahikkala, Boberg and
    Salakoski, Proc. SCAI 2006, 83).

    Args:
        inverse: A⁻¹, float64 [n, n], of the kernel with its ridge.
        values: y, float64 [n], on the scale on which it is fitted.
        folds: The rows held out by each.
    """
    mean, spread = float(values.mean()), float(values.std()) or 1.0
    weights = inverse @ ((values - mean) / spread)
    predicted = np.full(len(values), np.nan)
    for held in folds:
        predicted[held] = values[held] - spread * np.linalg.solve(inverse[np.ix_(held, held)], weights[held])
    return predicted


@dataclass
class SetErrors:
    """Errors of sets of features, each measured once.

    Attributes:
        x: float32 [n, d].
        y: float64 [n].
        lengths: Of the features.
        random: Folds.
        clusters: Folds.
        space: The scale on which the target is fitted, and its bounds.
        errors: Mean absolute errors on both, by set, in the target's unit.
        setting: Gamma of the kernels and ridge.
    """

    x: NDArray[np.float32]
    y: NDArray[np.float64]
    lengths: Sequence[int]
    random: Folds
    clusters: Folds
    space: TargetSpace = PLAIN
    errors: dict[_Set, tuple[float, float]] = field(default_factory=dict)
    setting: tuple[float, float] = field(init=False)

    def __post_init__(self) -> None:
        """Measure distances within each feature, and find a width and a ridge that suit all of them together."""
        self._distances = BlockDistances.of(self.x, self.lengths)
        self._target = self.space.to_fit(self.y)
        everything = tuple(range(len(self.lengths)))
        found = {(gamma, ridge): self._errors(everything, gamma, ridge) for gamma in GAMMAS for ridge in RIDGES}
        self.setting = min(found, key=lambda setting: found[setting][0])
        self.errors[everything] = found[self.setting]

    def named(self, one: _Set, features: Sequence[Feature]) -> FeatureErrors:
        """Return the errors of a set with the names of its features."""
        return FeatureErrors(tuple(features[place].feature for place in one), *self.of(one))

    def improves(self, one: _Set, other: _Set) -> bool:
        """Say whether a set is better on random folds and no worse on clusters."""
        (random, cluster), (other_random, other_cluster) = self.of(one), self.of(other)
        return random < other_random and cluster <= other_cluster

    def product(self, one: _Set) -> float:
        """Return what is made small: a per cent of one error is worth a per cent of the other."""
        random, cluster = self.of(one)
        return random * cluster

    def learned_mae(self, one: _Set, seed: int) -> float:
        """Return the error on clusters of a Gaussian process that learns what each feature of a set is worth."""
        ends = np.cumsum(self.lengths).tolist()
        x = np.concatenate([self.x[:, ends[place] - self.lengths[place] : ends[place]] for place in one], axis=1)
        parameters = GAUSSIAN_PROCESS.grid_of(tuple(self.lengths[place] for place in one))[0]
        total = 0.0
        for held in self.clusters:
            fit = np.setdiff1d(np.arange(len(x)), held)
            fitted = fit_model(GAUSSIAN_PROCESS, parameters, x[fit], self.y[fit], seed, self.space)
            total += float(np.abs(fitted.predict(x[held]) - self.y[held]).sum())
        return total / len(x)

    def of(self, one: _Set) -> tuple[float, float]:
        """Return the errors of a set on random folds and on clusters, measured now if they have not been."""
        if one not in self.errors:
            self.errors[one] = self._errors(one, *self.setting)
        return self.errors[one]

    def _errors(self, one: _Set, gamma: float, ridge: float) -> tuple[float, float]:
        """Return the errors of kernel ridge regression on both kinds of folds."""
        inverse = self._distances.inverse(one, gamma, ridge)
        return self._mae(inverse, self.random), self._mae(inverse, self.clusters)

    def _mae(self, inverse: NDArray[np.float64], folds: Folds) -> float:
        """Return the mean absolute error of all rows, each predicted from the folds that it is not in."""
        predicted = self.space.to_property(held_out_values(inverse, self._target, folds))
        return float(np.abs(predicted - self.y).mean())


def _mean_squares(block: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return mean squared differences [n, n] of rows [n, d]: 2 on average, whatever the length of a block."""
    squares = np.einsum("ij,ij->i", block, block)
    distances: NDArray[np.float32] = block @ block.T
    distances *= -2.0
    distances += squares[:, None]
    distances += squares
    distances /= block.shape[1]
    return np.maximum(distances, 0.0, out=distances)


def _inverse(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the inverse of a positive definite matrix, which is overwritten."""
    from scipy.linalg.lapack import dpotrf, dpotri

    factor, _ = dpotrf(matrix.T, lower=1, overwrite_a=1)
    lower, _ = dpotri(factor, lower=1, overwrite_c=1)
    inverse: NDArray[np.float64] = np.tril(lower)
    inverse += np.tril(lower, -1).T
    return inverse
