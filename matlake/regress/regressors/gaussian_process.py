"""Gaussian process regression whose kernel learns how much each block of features counts, and how far it reaches.

A feature that does not help gets a small weight, so many may be named. docs/science/models.md says where that is better
than blocks of equal weight, and where not.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.regressors.kernels import KernelExpansion, gram_of
from matlake.regress.regressors.labelled_rows import Weights
from matlake.regress.regressors.landmarks import EXACT_ROWS, LANDMARKS, draw_landmarks, solve_on_landmarks
from matlake.regress.regressors.regressor import Model, Parameters, log_uniform

_LEARNED_ROWS: Final = 400
"""Rows that weights and widths are learned from; each step inverts a matrix of them."""

_RIDGE_ROWS: Final = 1500
"""Rows that the ridge is chosen by: the noise of a process does not depend on their number."""

_STEPS: Final = 30
_WIDTH: Final = 0.25
_NOISE: Final = 0.01
_PRECISION: Final = 0.1
_BOUNDS: Final = {"weight": (-9.0, 4.0), "width": (-7.0, 3.0), "noise": (-8.0, 0.0)}
_FACTORS: Final = (0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.5, 5.0, 10.0)
_REFUSED: Final = 1e10

_Wide = NDArray[np.float64]
_Distances = list[NDArray[np.float32]]


@dataclass(frozen=True)
class MaternBlocks:
    """The sum over blocks of weight·(1 + r + r²/3)·exp(-r) with r² = 5·width·|a - b|²/d of each block.

    Matérn's kernel of order 5/2 (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, equation 4.17).

    Attributes:
        blocks: Lengths d of the blocks, in order.
        weights: Of the blocks.
        widths: Of the blocks.
    """

    blocks: tuple[int, ...]
    weights: tuple[float, ...]
    widths: tuple[float, ...]

    def parts(self) -> list[tuple[slice, float, float]]:
        """Return for each block its columns, its weight, and what r² is a multiple of |a - b|² by."""
        ends = np.cumsum(self.blocks).tolist()
        return [
            (slice(end - length, end), weight, 5.0 * width / length)
            for length, end, weight, width in zip(self.blocks, ends, self.weights, self.widths, strict=True)
        ]

    def between(self, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        """Return kernel values [n, m] of rows [n, d] and [m, d], in their precision."""
        total: NDArray[Any] = np.zeros((len(a), len(b)), dtype=a.dtype)
        for columns, weight, times in self.parts():
            r = np.sqrt(_squares(a[:, columns], b[:, columns]) * a.dtype.type(times))
            values = np.exp(-r)
            r += r * r / a.dtype.type(3.0)
            r += a.dtype.type(1.0)
            values *= r
            values *= a.dtype.type(weight)
            total += values
        return total


def _squares(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    squares: NDArray[Any] = a @ b.T
    squares *= -2.0
    squares += np.einsum("ij,ij->i", a, a)[:, None]
    squares += np.einsum("ij,ij->i", b, b)
    np.maximum(squares, 0.0, out=squares)
    return squares


def _fit(parameters: Parameters, z: _Wide, y: _Wide, seed: int, weights: Weights) -> KernelExpansion:
    """Learn the kernel from some rows, choose the ridge by leave-one-out, and fit all rows.

    Beyond ``EXACT_ROWS`` the process is that of landmarks, fitted to all rows. The variance of a row's noise is divided
    by its weight.
    """
    from scipy.linalg import cho_factor, cho_solve
    from threadpoolctl import threadpool_limits

    blocks = tuple(parameters.get("blocks", (z.shape[1],)))
    order = np.random.default_rng(seed).permutation(len(z))
    drawn, some = np.sort(order[:_LEARNED_ROWS]), np.sort(order[:_RIDGE_ROWS])
    with threadpool_limits(1, "blas"):  # thirty steps amplify how a product over threads is rounded
        own = _of(weights, drawn)
        kernel, noise = learn(z[drawn].astype(np.float32), y[drawn], blocks, parameters["precision"], own)
    gram = gram_of(kernel, z[some].astype(np.float32), np.float64)
    ridge = _best_ridge(gram, y[some], noise, _of(weights, some))
    flat = np.zeros(z.shape[1])
    if len(z) > EXACT_ROWS:
        points = draw_landmarks(z, LANDMARKS, seed)
        return KernelExpansion(points, solve_on_landmarks(kernel, points, z, y, ridge, weights), kernel, flat, 0.0)
    points = z.astype(np.float32)
    gram = gram_of(kernel, points, np.float64)
    gram.flat[:: len(gram) + 1] += ridge / (1.0 if weights is None else weights)
    solved = cho_solve(cho_factor(gram.T, overwrite_a=True, check_finite=False), y, check_finite=False)
    return KernelExpansion(points, solved, kernel, flat, 0.0)


def _of(weights: Weights, rows: NDArray[np.intp]) -> Weights:
    return None if weights is None else weights[rows]


def _best_ridge(gram: _Wide, y: _Wide, noise: float, weights: Weights = None) -> float:
    """Return the multiple of the noise with the smallest error of leave-one-out, wᵢ / (A⁻¹)ᵢᵢ with A = K + ridge·I.

    Rasmussen and Williams, equation 5.12. With weights of rows, all is multiplied by their roots: K on both sides.
    """
    roots = np.ones(len(y)) if weights is None else np.sqrt(weights)
    if weights is not None:
        gram, y = gram * roots * roots[:, None], y * roots
    from scipy.linalg import eigh

    values, vectors = eigh(gram, overwrite_a=True, check_finite=False, driver="evr")
    along, squares = vectors.T @ y, vectors**2
    errors = {}
    for ridge in (noise * factor for factor in _FACTORS):
        inverse = 1.0 / (np.maximum(values, 0.0) + ridge)
        errors[ridge] = float(np.abs((vectors @ (along * inverse)) / (squares @ inverse)) @ roots / (roots @ roots))
    return min(errors, key=lambda ridge: errors[ridge])


def learn(
    points: NDArray[np.float32],
    y: _Wide,
    blocks: tuple[int, ...],
    precision: float = _PRECISION,
    weights: Weights = None,
) -> tuple[MaternBlocks, float]:
    """Maximise the marginal likelihood times a normal prior of all logarithms around equal blocks.

    Rasmussen and Williams, equations 5.8 and 5.9.

    Args:
        points: float32 [n, d], standardised.
        y: float64 [n].
        blocks: Lengths of the blocks.
        precision: Of the prior: 0.1 is a standard deviation of a factor of 24.
        weights: float64 [n]: the variance of a row's noise is divided by its weight.

    Returns:
        The kernel, and the variance of the noise; both for ``y`` as it is.
    """
    from scipy.optimize import minimize

    count, ends = len(blocks), np.cumsum(blocks).tolist()
    parts = [points[:, end - length : end] for length, end in zip(blocks, ends, strict=True)]
    lower = np.tril_indices(len(y), -1)
    roots = [np.sqrt(_squares(part, part)[lower] / np.float32(part.shape[1])) for part in parts]
    variance = float(y.var()) or 1.0
    unit = (y - y.mean()) / np.sqrt(variance)
    shares = np.ones(len(y)) if weights is None else 1.0 / weights
    start = np.log([*[1.0 / count] * count, *[_WIDTH] * count, _NOISE])
    bounds = [_BOUNDS["weight"]] * count + [_BOUNDS["width"]] * count + [_BOUNDS["noise"]]

    def loss(logs: _Wide) -> tuple[float, _Wide]:
        value, slope = _negative_likelihood(roots, unit, logs, shares)
        apart = logs - start
        return value + 0.5 * precision * float(apart @ apart), slope + precision * apart

    found = np.exp(minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": _STEPS}).x)
    weights, widths = (variance * found[:count]).tolist(), found[count:-1].tolist()
    return MaternBlocks(blocks, tuple(weights), tuple(widths)), variance * float(found[-1])


def _negative_likelihood(
    roots: _Distances, target: _Wide, logs: _Wide, shares: _Wide | None = None
) -> tuple[float, _Wide]:
    """Return -log p(target) without its constant, and its slopes by the logarithms of weights, widths and noise.

    Kernels are one on the diagonal and symmetric: of each, only what is below the diagonal is computed.

    Args:
        roots: For each block √(|a - b|²/d) of all pairs of rows below the diagonal, float32 [n(n - 1)/2].
        target: float64 [n].
        logs: Of weights, widths and noise.
        shares: float64 [n], by what the noise of each row is multiplied; 1 by default.
    """
    from scipy.linalg import LinAlgError, cho_solve, cholesky
    from scipy.linalg.lapack import dpotri

    parameters, rows = np.exp(logs), len(target)
    weights, widths, noise = parameters[: len(roots)], parameters[len(roots) : -1], parameters[-1]
    pairs = [_matern(root, width) for root, width in zip(roots, widths, strict=True)]
    below = np.tril_indices(rows, -1)
    total = np.zeros((rows, rows))
    total[below] = sum(np.float32(weight) * values for weight, (values, _) in zip(weights, pairs, strict=True))
    noises = noise * (np.ones(rows) if shares is None else shares)
    total.flat[:: rows + 1] = weights.sum() + noises
    try:
        factor = cholesky(total, lower=True, overwrite_a=True, check_finite=False)
    except LinAlgError:
        return _REFUSED, np.zeros_like(logs)
    solved = cho_solve((factor, True), target, check_finite=False)
    value = 0.5 * float(target @ solved) + float(np.log(np.diag(factor)).sum())
    inverse = dpotri(factor, lower=1)[0]
    outer = (inverse[below] - solved[below[0]] * solved[below[1]]).astype(np.float32)
    diagonal = np.diagonal(inverse) - solved**2
    trace = float(diagonal.sum())
    by_weight = [
        weight * (float(outer @ values) + trace / 2.0) for weight, (values, _) in zip(weights, pairs, strict=True)
    ]
    by_width = [weight * float(outer @ slopes) for weight, (_, slopes) in zip(weights, pairs, strict=True)]
    return value, np.array([*by_weight, *by_width, float(diagonal @ noises) / 2.0])


def _matern(root: NDArray[np.float32], width: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return Matérn's kernel of order 5/2 of √(|a - b|²/d), and its slope by the logarithm of the width."""
    r = root * np.float32(np.sqrt(5.0 * width))
    decay = np.exp(-r)
    third = r * r / np.float32(3.0)
    linear = (np.float32(1.0) + r) * decay
    return linear + third * decay, third * linear * np.float32(-0.5)


GAUSSIAN_PROCESS: Final = Model(
    "gaussian-process",
    _fit,
    lambda _: [{"precision": _PRECISION}],
    lambda rng, _: {"precision": log_uniform(rng, 0.01, 1.0)},
    in_blocks=True,
    weighted=True,
)
