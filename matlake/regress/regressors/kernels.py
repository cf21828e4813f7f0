"""The kernel of all kernel machines, and the function that each of them becomes.

The kernel is exp(-gamma·|a - b|²) + linear·a·b, where either part may be absent. Far from all training rows the first
part is zero, so that a machine of its own returns to its intercept there; the second goes on as a plane.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

_BLOCK: Final = 1 << 21
"""Kernel values at a time: temporary arrays stay near the processor's cache."""


@dataclass(frozen=True)
class Kernel:
    """A sum of an RBF and a linear kernel.

    Attributes:
        gamma: Of the RBF; None leaves it out.
        linear: Weight of the linear kernel.
    """

    gamma: float | None
    linear: float

    def between(self, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        """Return kernel values [n, m] of rows [n, d] and [m, d], in their precision.

        Squared distances are |a|² + |b|² - 2ab: one matrix product.
        """
        products: NDArray[Any] = a @ b.T
        if self.gamma is None:
            products *= self.linear
            return products
        values = products * (2.0 * self.gamma)
        values -= self.gamma * np.einsum("ij,ij->i", a, a)[:, None]
        values -= self.gamma * np.einsum("ij,ij->i", b, b)
        np.minimum(values, 0.0, out=values)
        np.exp(values, out=values)
        if self.linear:
            products *= self.linear
            values += products
        return values

    def gram(self, points: NDArray[np.float32], precision: DTypeLike) -> NDArray[np.float64]:
        """Return kernel values float64 [n, n] of rows float32 [n, d], computed in a precision, half of them."""
        wide = points.astype(precision)
        n = len(points)
        values = np.empty((n, n))
        step = max(1, _BLOCK // n)
        for start in range(0, n, step):
            stop = min(start + step, n)
            block = self.between(wide[start:stop], wide[start:])
            values[start:stop, start:] = block
            values[stop:, start:stop] = block[:, stop - start :].T
        return values


@dataclass(frozen=True)
class KernelExpansion:
    """f(x) = Σᵢ wᵢ·exp(-gamma·|x - pᵢ|²) + x·v + b: what every kernel machine is once it is fitted.

    Attributes:
        points: float32 [m, d], standardised; none where there is no RBF part.
        weights: float64 [m], wᵢ.
        gamma: Of the RBF.
        slopes: float64 [d], v.
        intercept: b.
    """

    points: NDArray[np.float32]
    weights: NDArray[np.float64]
    gamma: float
    slopes: NDArray[np.float64]
    intercept: float

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return predictions float64 [n] for standardised features [n, d]."""
        predicted: NDArray[np.float64] = x @ self.slopes + self.intercept
        if len(self.points):
            rbf, points = Kernel(self.gamma, 0.0), self.points.astype(np.float64)
            step = max(1, _BLOCK // len(points))
            for start in range(0, len(x), step):
                rows = slice(start, start + step)
                predicted[rows] += rbf.between(x[rows], points) @ self.weights
        return predicted


def expand(
    kernel: Kernel, points: NDArray[np.float32], weights: NDArray[np.float64], intercept: float
) -> KernelExpansion:
    """Turn Σᵢ wᵢ·k(x, pᵢ) + b into an expansion: the linear parts of all points add up to one vector.

    Args:
        kernel: k.
        points: float32 [m, d].
        weights: float64 [m].
        intercept: b.
    """
    slopes = kernel.linear * (weights @ points.astype(np.float64))
    if kernel.gamma is None:
        return KernelExpansion(points[:0], weights[:0], 0.0, slopes, intercept)
    return KernelExpansion(points, weights, kernel.gamma, slopes, intercept)
