"""The kernel of all kernel machines, and the function that each of them becomes.

The kernel is exp(-gamma·|a - b|²) + linear·a·b, where either part may be absent. Far from all training rows the first
part is zero, so that a machine of its own returns to its intercept there; the second goes on as a plane.

Features in several blocks, such as the layers of an encoder, have the mean of the kernels of the blocks: two materials
that are alike in one respect and not in another are half alike, and not unlike, as |a - b|² of all features would have
it (an additive kernel: Duvenaud, Nickisch and Rasmussen, Adv. Neural Inf. Process. Syst. 24, 226 (2011)).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

_BLOCK: Final = 1 << 21
"""Kernel values at a time: temporary arrays stay near the processor's cache."""


@dataclass(frozen=True)
class Kernel:
    """A sum of an RBF and a linear kernel; for features in blocks, the mean of such sums over the blocks.

    Attributes:
        gamma: Of the RBF; None leaves it out.
        linear: Weight of the linear kernel.
        blocks: Lengths of the blocks, in order; none for a single block. For block k of length dₖ of all d features,
            ``gamma`` and ``linear`` count d/dₖ times: a short block weighs as much as a long one.
    """

    gamma: float | None
    linear: float
    blocks: tuple[int, ...] = ()

    def parts(self) -> Iterator[tuple[slice, "Kernel"]]:
        """Yield the columns of each block and the kernel of it alone."""
        start, width = 0, sum(self.blocks)
        for length in self.blocks:
            times = width / length
            gamma = None if self.gamma is None else self.gamma * times
            yield slice(start, start + length), Kernel(gamma, self.linear * times)
            start += length

    def between(self, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        """Return kernel values [n, m] of rows [n, d] and [m, d], in their precision."""
        if not self.blocks:
            return self._of_one_block(a, b)
        total: NDArray[Any] = np.zeros((len(a), len(b)), dtype=a.dtype)
        for columns, kernel in self.parts():
            total += kernel.between(a[:, columns], b[:, columns])
        total /= len(self.blocks)
        return total

    def _of_one_block(self, a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
        """Return kernel values [n, m]; squared distances are |a|² + |b|² - 2ab: one matrix product."""
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
    """f(x) = Σᵢ wᵢ·k(x, pᵢ) + x·v + b, with an RBF kernel k: what every kernel machine is once it is fitted.

    Attributes:
        points: float32 [m, d], standardised; none where there is no RBF part.
        weights: float64 [m], wᵢ.
        kernel: k, without a linear part.
        slopes: float64 [d], v.
        intercept: b.
    """

    points: NDArray[np.float32]
    weights: NDArray[np.float64]
    kernel: Kernel
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
    slopes = weights @ points.astype(np.float64)
    if kernel.blocks:
        for columns, part in kernel.parts():
            slopes[columns] *= part.linear / len(kernel.blocks)
    else:
        slopes *= kernel.linear
    if kernel.gamma is None:
        points, weights = points[:0], weights[:0]
    return KernelExpansion(points, weights, replace(kernel, linear=0.0), slopes, intercept)
