"""What the contracts of all encoders share: a check, how it is told, and how outputs are compared."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

SMALLEST_TOLERANCE: Final = 1e-5
_BATCH_SHARE: Final = 0.1


@dataclass(frozen=True)
class Check:
    """One clause of the contract.

    Attributes:
        name: What must hold.
        passed: Whether it does.
        detail: What was found.
    """

    name: str
    passed: bool
    detail: str


def batch_tolerance(parity_tolerance: float) -> float:
    """Return how far a vector may move with its batch, relative to the layer's largest value.

    Matrix products add up in another order in another batch; quantised ones may then round to the next level.
    A tenth of what the encoder's precision costs anyway leaves room for that, and for nothing more.
    """
    return max(SMALLEST_TOLERANCE, _BATCH_SHARE * parity_tolerance)


def worst_difference(
    expected: Sequence[NDArray[np.floating]], found: Sequence[NDArray[np.floating]], scale: Sequence[float]
) -> float:
    """Return the largest absolute difference over all layers, each relative to its scale; NaN where a value is none."""
    return float(np.max([np.abs(a - b).max() / s for a, b, s in zip(expected, found, scale, strict=True)]))


def largest(outputs: Sequence[NDArray[np.floating]]) -> list[float]:
    """Return the largest absolute value of each layer, one for a layer of zeros."""
    return [float(np.abs(output).max()) or 1.0 for output in outputs]


def within(check: Callable[..., Check], worst: float, tolerance: float) -> Check:
    """Return a check of a difference against what is allowed."""
    return Check(
        name_of(check), worst <= tolerance, f"largest relative difference {worst:.1e}, allowed {tolerance:.0e}"
    )


def name_of(check: Callable[..., Any]) -> str:
    """Return what a check's docstring says must hold."""
    return (check.__doc__ or "").rstrip(".")
