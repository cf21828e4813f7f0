"""Kernel ridge regression on blocks of features: the mean of one RBF kernel a block.

Width and ridge are chosen by leave-one-out errors of the training rows, in closed form: with A = K + ridge·I and
w = A⁻¹y they are wᵢ / (A⁻¹)ᵢᵢ (C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning, MIT Press
2006, equation 5.12). One eigendecomposition for each width serves all ridges and all targets.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Blocks = Sequence[NDArray[np.floating]]
Distances = list[NDArray[np.float32]]

WIDTHS: Final = tuple(2.0**power for power in range(-6, 4))
"""Of exp(-width·D), where D is the mean over features of squared differences, 2 on average."""
RIDGES: Final = tuple(10.0**power for power in np.arange(-4.0, 0.6, 0.5))
_FIRST: Final = 5
_FLAT: Final = 1e-7


@dataclass(frozen=True)
class Chosen:
    """What leave-one-out chose for a target.

    Attributes:
        width: Of the kernels.
        ridge: Added to the kernel's diagonal.
        error: Mean absolute error of leave-one-out, on the target's scale.
    """

    width: float
    ridge: float
    error: float


def standardised(blocks: Blocks, train: NDArray[np.intp]) -> list[NDArray[np.float32]]:
    """Scale each column by mean and deviation of the training rows; constant columns go.

    What an encoder could not encode is NaN, and becomes the mean.

    Returns:
        A block of float32 [n, d] for each, divided by √d.
    """
    scaled = []
    for block in blocks:
        wide = block.astype(np.float64)
        mean, deviation = np.nanmean(wide[train], axis=0), np.nanstd(wide[train], axis=0)
        kept = deviation > _FLAT * np.maximum(np.abs(mean), 1.0)
        unit = np.nan_to_num((wide[:, kept] - mean[kept]) / deviation[kept])
        scaled.append((unit / np.sqrt(max(kept.sum(), 1))).astype(np.float32))
    return scaled


def distances(blocks: Blocks, train: NDArray[np.intp], test: NDArray[np.intp]) -> tuple[Distances, Distances]:
    """Return squared distances of each block among training rows, and of test rows to these."""
    scaled = standardised(blocks, train)
    return [_squared(x[train], x[train]) for x in scaled], [_squared(x[test], x[train]) for x in scaled]


def _squared(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    values = a @ b.T
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


def fit_predict(
    blocks: Blocks, y: Float, train: NDArray[np.intp], test: NDArray[np.intp]
) -> tuple[Float, list[Chosen]]:
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
    fits = _Widths(within, target)
    predicted = np.empty((len(test), y.shape[1]))
    chosen = []
    for place in range(y.shape[1]):
        best = fits.descend(place)
        width, ridge = WIDTHS[best], fits.ridge(best, place)
        predicted[:, place] = mean[place] + kernel(across, width) @ fits.weights(best, place)
        chosen.append(Chosen(width, ridge, fits.error(best, place)))
    return predicted, chosen


class _Widths:
    """Fits by width, each made when it is asked for."""

    def __init__(self, within: Distances, target: Float) -> None:
        self._within, self._target = within, target
        self._fits: dict[int, tuple[Float, list[int], list[Float]]] = {}

    def descend(self, target: int) -> int:
        """Go from the middle to smaller errors, until both neighbours are worse."""
        best = _FIRST
        for step in (-1, 1):
            while 0 <= best + step < len(WIDTHS) and self.error(best + step, target) < self.error(best, target):
                best += step
        return best

    def error(self, width: int, target: int) -> float:
        return float(self._fit(width)[0][:, target].min())

    def ridge(self, width: int, target: int) -> float:
        return RIDGES[self._fit(width)[1][target]]

    def weights(self, width: int, target: int) -> Float:
        return self._fit(width)[2][target]

    def _fit(self, width: int) -> tuple[Float, list[int], list[Float]]:
        if width not in self._fits:
            self._fits[width] = _leave_one_out(kernel(self._within, WIDTHS[width]), self._target)
        return self._fits[width]


def _leave_one_out(gram: Float, target: Float) -> tuple[Float, list[int], list[Float]]:
    """Return errors float64 [ridges, targets], and for each target the best ridge's place and weights."""
    from scipy.linalg import eigh

    values, vectors = eigh(gram, overwrite_a=True, check_finite=False, driver="evr")
    along, squares = vectors.T @ target, vectors**2
    errors = np.empty((len(RIDGES), target.shape[1]))
    for place, ridge in enumerate(RIDGES):
        inverse = 1 / (np.maximum(values, 0) + ridge)
        left = (vectors @ (along * inverse[:, None])) / (squares @ inverse)[:, None]
        errors[place] = np.abs(left).mean(axis=0)
    best = [int(place) for place in errors.argmin(axis=0)]
    weights = [
        vectors @ (along[:, target] / (np.maximum(values, 0) + RIDGES[place])) for target, place in enumerate(best)
    ]
    return errors, best, weights
