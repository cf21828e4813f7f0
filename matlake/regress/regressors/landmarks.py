"""Nyström's approximation of kernel machines: some rows stand for all, so that memory grows with these alone.

With the kernel's values K(p, p) of m landmarks p, every row x has the m features K(x, p)·K(p, p)^(-1/2); their products
are the kernel between landmarks, and near it elsewhere (Williams and Seeger, Adv. Neural Inf. Process. Syst. 13, 682,
2001).
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.regressors.kernels import DistanceKernel, gram_of
from matlake.regress.regressors.labelled_rows import Weights

EXACT_ROWS: Final = 5000
"""Rows up to which kernel ridge regression and Gaussian processes need no landmarks: their matrix takes 200 MB."""

LANDMARKS: Final = 2000
"""Of kernel ridge regression and Gaussian processes: what they cost grows with the square of it."""

_RANK_TOLERANCE: Final = 1e-9
_STEP: Final = 1 << 21
"""Kernel values at a time."""


def draw_landmarks(z: NDArray[np.float64], count: int, seed: int) -> NDArray[np.float32]:
    """Return some rows of features [n, d], in their order."""
    drawn = np.random.default_rng(seed).permutation(len(z))[:count]
    return z[np.sort(drawn)].astype(np.float32)


def inverse_root(kernel: DistanceKernel, points: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return a matrix R [m, rank] with R·Rᵀ = K(p, p)⁻¹ of points [m, d], directions of rounding alone left out."""
    size, vectors = np.linalg.eigh(gram_of(kernel, points, np.float64))
    kept = size > _RANK_TOLERANCE * size[-1]
    root: NDArray[np.float64] = vectors[:, kept] / np.sqrt(size[kept])
    return root


def solve_on_landmarks(
    kernel: DistanceKernel,
    points: NDArray[np.float32],
    z: NDArray[np.float64],
    y: NDArray[np.float64],
    ridge: float,
    weights: Weights = None,
) -> NDArray[np.float64]:
    """Return the weights float64 [m] of landmarks that minimise Σᵢ wᵢ·(f(xᵢ) - yᵢ)² + ridge·|f|².

    Args:
        kernel: k, with f(x) = Σⱼ weightⱼ·k(x, pⱼ) and |f| its norm.
        points: float32 [m, d], p.
        z: float64 [n, d], rows.
        y: float64 [n].
        ridge: Variance of the noise, in multiples of the kernel.
        weights: float64 [n], wᵢ; all 1 by default.
    """
    from scipy.linalg import cho_factor, cho_solve

    root = inverse_root(kernel, points)
    normal, right = ridge * np.eye(root.shape[1]), np.zeros(root.shape[1])
    wide = points.astype(np.float64)
    for rows in _steps(len(z), len(points)):
        features = kernel.between(z[rows], wide) @ root
        weighted = features if weights is None else features * weights[rows, None]
        normal += features.T @ weighted
        right += weighted.T @ y[rows]
    found: NDArray[np.float64] = root @ cho_solve(cho_factor(normal, overwrite_a=True), right)
    return found


def _steps(rows: int, landmarks: int) -> Iterator[slice]:
    step = max(1, _STEP // landmarks)
    for start in range(0, rows, step):
        yield slice(start, start + step)
