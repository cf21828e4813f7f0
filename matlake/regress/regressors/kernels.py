"""The kernel of all kernel machines, and the function that each of them becomes.

The kernel is exp(-gamma·|a - b|²) + linear·a·b, where either part may be absent. Far from all training rows the first
part is zero, so that a machine of its own returns to its intercept there; the second goes on as a plane.

Features in several blocks, such as layers of encoders, have a kernel of their own. Half of it is the mean of one kernel
a block: two materials that are alike in one respect and not in another are half alike (an additive kernel: Duvenaud,
Nickisch and Rasmussen, Adv. Neural Inf. Process. Syst. 24, 226 (2011)). The other half is one kernel of the mean of
the blocks' squared distances, which holds how they act together. Both are rational quadratic, 1 / (1 + gamma·|a - b|²),
RBFs of all widths at once (Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, equation 4.19).
docs/science/models.md says what either is worth.
"""

from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

_BLOCK: Final = 1 << 21
"""Kernel values at a time: temporary arrays stay near the processor's cache."""


@dataclass(frozen=True)
class Kernel:
    """A sum of a kernel of distances and a linear kernel.

    Attributes:
        gamma: Of the kernel of distances, an RBF for one block; None leaves it out.
        linear: Weight of the linear kernel.
        blocks: Lengths of the blocks of features, in order; none for one block. With several, |a - b|² and a·b of block
            k, of length dₖ of all d features, count d/dₖ times: a short block weighs as much as a long one.
    """

    gamma: float | None
    linear: float
    blocks: tuple[int, ...] = ()

    def parts(self) -> list[tuple[slice, float]]:
        """Return for each block its columns and how many times it counts."""
        ends = np.cumsum(self.blocks).tolist()
        return [(slice(end - n, end), ends[-1] / n) for n, end in zip(self.blocks, ends, strict=True)]

    def slopes(self, vector: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return v with v·a = linear kernel of a and a vector [d]."""
        slopes = self.linear * vector
        for columns, times in self.parts():
            slopes[columns] *= times / len(self.blocks)
        return slopes

    def between(self, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        """Return kernel values [n, m] of rows [n, d] and [m, d], in their precision.

        Squared distances are |a|² + |b|² - 2ab: one matrix product.
        """
        if self.blocks:
            return self._between_blocks(a, b)
        products: NDArray[Any] = a @ b.T
        if self.gamma is None:
            products *= self.linear
            return products
        values = _exponents(products, a, b, self.gamma)
        np.exp(values, out=values)
        if self.linear:
            products *= self.linear
            values += products
        return values

    def _between_blocks(self, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        values: NDArray[Any] = np.zeros((len(a), len(b)), dtype=a.dtype)
        linear, together = np.zeros_like(values), np.zeros_like(values)
        for columns, times in self.parts():
            own, others = a[:, columns], b[:, columns]
            products = own @ others.T
            if self.gamma is not None:
                squares = _exponents(products, own, others, self.gamma * times)
                np.negative(squares, out=squares)
                together += squares
                values += rational_quadratic(squares)
            if self.linear:
                products *= self.linear * times
                linear += products
        count = len(self.blocks)
        if self.gamma is not None:
            together /= count
            values /= count
            values += rational_quadratic(together)
            values /= 2.0
        linear /= count
        values += linear
        return values

    def gram(self, points: NDArray[np.float32], precision: DTypeLike) -> NDArray[np.float64]:
        """Return kernel values float64 [n, n] of rows float32 [n, d], computed in a precision, half of them."""
        return gram_of(self, points, precision)


class DistanceKernel(Protocol):
    """A kernel of a kernel machine."""

    def between(self, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        """Return kernel values [n, m] of rows [n, d] and [m, d], in their precision."""


def gram_of(kernel: DistanceKernel, points: NDArray[np.float32], precision: DTypeLike) -> NDArray[np.float64]:
    """Return kernel values float64 [n, n] of rows float32 [n, d], computed in a precision, half of them."""
    wide = points.astype(precision)
    n = len(points)
    values = np.empty((n, n))
    step = max(1, _BLOCK // n)
    for start in range(0, n, step):
        stop = min(start + step, n)
        block = kernel.between(wide[start:stop], wide[start:])
        values[start:stop, start:] = block
        values[stop:, start:stop] = block[:, stop - start :].T
    return values


def _exponents(products: NDArray[Any], a: NDArray[Any], b: NDArray[Any], gamma: float) -> NDArray[Any]:
    """Return -gamma·|a - b|², at most 0, for rows a and b and their products [n, m]."""
    values: NDArray[Any] = products * (2.0 * gamma)
    values -= gamma * np.einsum("ij,ij->i", a, a)[:, None]
    values -= gamma * np.einsum("ij,ij->i", b, b)
    np.minimum(values, 0.0, out=values)
    return values


def rational_quadratic(squares: NDArray[Any]) -> NDArray[Any]:
    """Return 1 / (1 + s) of squared distances s in multiples of 1/gamma, in their memory."""
    squares += 1.0
    np.reciprocal(squares, out=squares)
    return squares


@dataclass(frozen=True)
class KernelExpansion:
    """f(x) = Σᵢ wᵢ·k(x, pᵢ) + x·v + b, with a kernel of distances k: what every kernel machine is once it is fitted.

    Attributes:
        points: float32 [m, d], standardised; none where the kernel is linear.
        weights: float64 [m], wᵢ.
        kernel: k, without a linear part.
        slopes: float64 [d], v.
        intercept: b.
    """

    points: NDArray[np.float32]
    weights: NDArray[np.float64]
    kernel: DistanceKernel
    slopes: NDArray[np.float64]
    intercept: float

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return predictions float64 [n] for standardised features [n, d]."""
        predicted: NDArray[np.float64] = x @ self.slopes + self.intercept
        if len(self.points):
            points = self.points.astype(np.float64)
            step = max(1, _BLOCK // len(points))
            for start in range(0, len(x), step):
                rows = slice(start, start + step)
                predicted[rows] += self.kernel.between(x[rows], points) @ self.weights
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
    slopes = kernel.slopes(weights @ points.astype(np.float64))
    if kernel.gamma is None:
        points, weights = points[:0], weights[:0]
    return KernelExpansion(points, weights, replace(kernel, linear=0.0), slopes, intercept)
