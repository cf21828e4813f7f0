"""Kernel ridge regression on blocks of features: the mean of one RBF kernel a block, all of one width.

Width and ridge are chosen by leave-one-out errors of drawn training rows, in closed form: with A = K + ridge·I and
w = A⁻¹y they are wᵢ / (A⁻¹)ᵢᵢ (C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning, MIT Press
2006, equation 5.12). One eigendecomposition serves all ridges and all targets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Rows = NDArray[np.intp]
Blocks = Sequence[NDArray[np.floating]]
Distances = list[NDArray[np.float32]]

WIDTHS: Final = tuple(2.0**power for power in range(-6, 4))
"""Of exp(-width·D), where D is the mean over features of squared differences, 2 on average."""
RIDGES: Final = tuple(10.0**power for power in np.arange(-4.0, 0.6, 0.5))
CHOOSING_ROWS: Final = 400
"""Training rows, drawn, that choose width and ridge: all 950 would take three times as long for 2 % of the error."""
_FIRST: Final = 5
_FLAT: Final = 1e-7


@dataclass(frozen=True)
class Chosen:
    """What leave-one-out chose for a target.

    Attributes:
        width: Of the kernels.
        ridge: Added to the kernel's diagonal.
    """

    width: float
    ridge: float


def fit_predict(blocks: Blocks, y: Float, train: Rows, test: Rows) -> tuple[Float, list[Chosen]]:
    """Train on some rows and predict others.

    Args:
        blocks: float [n, d] each; NaN in rows without features.
        y: float64 [n, targets], as they are to be learned.
        train: Rows to train on.
        test: Rows to predict.

    Returns:
        float64 [test rows, targets]; and what was chosen for each target.
    """
    within, across = distances(blocks, train, test)
    mean = y[train].mean(axis=0)
    target = y[train] - mean
    drawn = some_rows(len(train))
    few = [block[np.ix_(drawn, drawn)] for block in within]
    predicted = np.empty((len(test), y.shape[1]))
    chosen = _best(few, target[drawn])
    for place, one in enumerate(chosen):
        weights = solved(kernel(within, one.width), one.ridge, target[:, place])
        predicted[:, place] = mean[place] + kernel(across, one.width) @ weights
    return predicted, chosen


def some_rows(count: int) -> Rows:
    """Return the places of the training rows that choose what is costly to choose."""
    return np.random.default_rng(0).permutation(count)[:CHOOSING_ROWS]


def standardised(blocks: Blocks, train: Rows) -> list[NDArray[np.float32]]:
    """Scale each column by mean and deviation of the training rows; constant columns go.

    What an encoder could not encode is NaN, and becomes the mean.

    Returns:
        A block of float32 [n, d] for each, divided by √d.
    """
    scaled = []
    for block in blocks:
        wide = block[train].astype(np.float64)
        mean, deviation = np.nanmean(wide, axis=0), np.nanstd(wide, axis=0)
        kept = deviation > _FLAT * np.maximum(np.abs(mean), 1.0)
        scale = deviation[kept] * np.sqrt(max(kept.sum(), 1))
        unit = (block[:, kept] - mean[kept].astype(np.float32)) / scale.astype(np.float32)
        scaled.append(np.nan_to_num(unit.astype(np.float32), copy=False))
    return scaled


def distances(blocks: Blocks, train: Rows, test: Rows) -> tuple[Distances, Distances]:
    """Return squared distances of each block among training rows, and of test rows to these."""
    scaled = standardised(blocks, train)
    return [_squared(x[train], x[train]) for x in scaled], [_squared(x[test], x[train]) for x in scaled]


def _squared(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    values: NDArray[np.float32] = a @ b.T
    values *= -2
    values += np.einsum("ij,ij->i", a, a)[:, None]
    values += np.einsum("ij,ij->i", b, b)
    return np.maximum(values, 0, out=values)


def kernel(squared: Distances, width: float) -> Float:
    """Return the mean over blocks of exp(-width·D)."""
    total = np.zeros(squared[0].shape, np.float32)
    for block in squared:
        total += np.exp(block * np.float32(-width))
    return total.astype(np.float64) / len(squared)


def _best(within: Distances, target: Float) -> list[Chosen]:
    """Return for each target width and ridge of least error, going from the middle until both neighbours are worse."""
    found: dict[int, tuple[Float, Float]] = {}

    def error(width: int, place: int) -> float:
        if width not in found:
            found[width] = leave_one_out(kernel(within, WIDTHS[width]), target, RIDGES)
        return float(found[width][1][place])

    best = []
    for place in range(target.shape[1]):
        at = _FIRST
        for step in (-1, 1):
            while 0 <= at + step < len(WIDTHS) and error(at + step, place) < error(at, place):
                at += step
        error(at, place)
        best.append(Chosen(WIDTHS[at], float(found[at][0][place])))
    return best


def leave_one_out(gram: Float, target: Float, ridges: Sequence[float]) -> tuple[Float, Float]:
    """Choose the ridge of each target by the mean absolute error of leave-one-out.

    Args:
        gram: Kernel of the rows, float64 [n, n]; overwritten.
        target: float64 [n, targets].
        ridges: To choose from.

    Returns:
        The ridges, and their errors, float64 [targets] each.
    """
    from scipy.linalg import eigh

    values, vectors = eigh(gram, overwrite_a=True, check_finite=False, driver="evr")
    along, squares = vectors.T @ target, vectors**2
    errors = []
    for ridge in ridges:
        inverse = 1 / (np.maximum(values, 0) + ridge)
        left = (vectors @ (along * inverse[:, None])) / (squares @ inverse)[:, None]
        errors.append(np.abs(left).mean(axis=0))
    best = np.argmin(errors, axis=0)
    return np.asarray(ridges)[best], np.min(errors, axis=0)


def solved(gram: Float, ridge: float, target: Float) -> Float:
    """Return (K + ridge·I)⁻¹y, float64 [n]; the kernel is overwritten."""
    from scipy.linalg import cho_factor, cho_solve

    gram.flat[:: len(gram) + 1] += ridge
    weights: Float = cho_solve(cho_factor(gram, overwrite_a=True, check_finite=False), target, check_finite=False)
    return weights
