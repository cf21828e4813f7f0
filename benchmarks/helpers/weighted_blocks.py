"""Kernel ridge regression whose blocks have weights and widths of their own, learned from the training rows.

The kernel is the sum over blocks of weight·(1 + r + r²/3)·exp(-r) with r² = 5·width·D, Matérn's of order 5/2 (there,
equation 4.17), which fitted bulk and shear moduli better than RBF kernels. Weights, widths and noise maximise the
marginal likelihood of a Gaussian process (C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning,
MIT Press 2006, equations 5.8 and 5.9) of drawn training rows, times a broad normal prior of their logarithms
around equal blocks. The ridge is then chosen once more, by leave-one-out errors of the same rows.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.helpers.block_kernel_ridge import (
    Blocks,
    Distances,
    Float,
    Rows,
    distances,
    leave_one_out,
    solved,
    some_rows,
)

_WIDTH: Final = 0.25
_NOISE: Final = 0.01
_PRECISION: Final = 0.1
"""Of the prior: a deviation of a factor of 24."""
_STEPS: Final = 30
_BOUNDS: Final = {"weight": (-9.0, 3.0), "width": (-7.0, 3.0), "noise": (-8.0, 0.0)}
_FACTORS: Final = (0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.5, 5.0, 10.0)
_REFUSED: Final = 1e10


@dataclass(frozen=True)
class BlockKernel:
    """The kernel that was learned.

    Attributes:
        weights: Of the blocks.
        widths: Of the blocks.
        noise: Added to the diagonal; all three for a target of variance one.
    """

    weights: Float
    widths: Float
    noise: float

    def between(self, squared: Distances) -> Float:
        """Return kernel values of squared distances, float64 of their shape."""
        total = np.zeros(squared[0].shape)
        for block, weight, width in zip(squared, self.weights, self.widths, strict=True):
            total += weight * matern(np.sqrt(block), width)[0]
        return total


def fit_predict(blocks: Blocks, y: Float, train: Rows, test: Rows) -> tuple[Float, list[BlockKernel]]:
    """Train on some rows and predict others; arguments and predictions as in ``block_kernel_ridge``."""
    within, across = distances(blocks, train, test)
    drawn = some_rows(len(train))
    few = [block[np.ix_(drawn, drawn)] for block in within]
    predicted, kernels = np.empty((len(test), y.shape[1])), []
    for place, column in enumerate(y[train].T):
        target = column - column.mean()
        learned = learn(few, target[drawn])
        ridges = [learned.noise * factor for factor in _FACTORS]
        (ridge,), _ = leave_one_out(learned.between(few), target[drawn, None], ridges)
        weights = solved(learned.between(within), float(ridge), target)
        predicted[:, place] = column.mean() + learned.between(across) @ weights
        kernels.append(learned)
    return predicted, kernels


def learn(within: Distances, target: Float) -> BlockKernel:
    """Maximise the marginal likelihood.

    Args:
        within: Squared distances of each of b blocks among n rows, float32 [n, n].
        target: float64 [n], centred.
    """
    from scipy.optimize import minimize

    roots = [np.sqrt(block) for block in within]
    blocks, unit = len(within), target / target.std()
    start = np.log([*[1 / blocks] * blocks, *[_WIDTH] * blocks, _NOISE])
    bounds = [_BOUNDS["weight"]] * blocks + [_BOUNDS["width"]] * blocks + [_BOUNDS["noise"]]

    def loss(logs: Float) -> tuple[float, Float]:
        value, slope = _negative_likelihood(roots, unit, logs)
        return value + _PRECISION / 2 * float(np.sum((logs - start) ** 2)), slope + _PRECISION * (logs - start)

    found = np.exp(minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": _STEPS}).x)
    return BlockKernel(found[:blocks], found[blocks:-1], float(found[-1]))


def _negative_likelihood(roots: Distances, target: Float, logs: Float) -> tuple[float, Float]:
    """Return -log p(target) without its constant, and its slopes by the logarithms of weights, widths and noise."""
    from scipy.linalg import LinAlgError, cho_solve, cholesky
    from scipy.linalg.lapack import dpotri

    parameters, rows = np.exp(logs), len(target)
    weights, widths = parameters[: len(roots)], parameters[len(roots) : -1]
    pairs = [matern(root, width) for root, width in zip(roots, widths, strict=True)]
    total = np.zeros((rows, rows))
    for weight, (values, _) in zip(weights, pairs, strict=True):
        total += np.float32(weight) * values
    total.flat[:: rows + 1] += parameters[-1]
    try:
        factor = cholesky(total, lower=True, overwrite_a=True, check_finite=False)
    except LinAlgError:
        return _REFUSED, np.zeros_like(logs)
    solved = cho_solve((factor, True), target, check_finite=False)
    value = 0.5 * float(target @ solved) + float(np.log(np.diag(factor)).sum())
    lower = np.tril(dpotri(factor, lower=1)[0])
    inverse = lower + np.tril(lower, -1).T
    outer = (inverse - np.outer(solved, solved)).astype(np.float32)
    slopes = [
        weight * float(np.vdot(outer, part)) / 2
        for which in (0, 1)
        for weight, part in zip(weights, [pair[which] for pair in pairs], strict=True)
    ]
    return value, np.array([*slopes, parameters[-1] * float(np.trace(outer)) / 2])


def matern(root: NDArray[np.float32], width: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return Matérn's kernel of order 5/2 of √D, and its slope by the logarithm of the width."""
    r = root * np.float32(np.sqrt(5 * width))
    decay = np.exp(-r)
    third = r * r / np.float32(3)
    linear = (1 + r) * decay
    return linear + third * decay, third * linear * np.float32(-0.5)
