"""What values a property can have: said by the user, or plain from the training labels."""

import math
import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.errors import Hint, TrainingError
from matlake.materials.units import quantity_of

_NOT_NEGATIVE: Final = re.compile(
    r"gap(?![a-z])|modul(?:us|i)|(?<![a-z])e?hull|(?<![a-z])density|(?<![a-z])volume|hardness|refractive.?index"
)
"""Quantities that are not negative by definition, as columns are named."""

_DERIVED: Final = re.compile(
    r"(?<![a-z])(?:log\d*|ln|delta|diff|difference|change|shift|excess|mixing|relative|below|error|residual|deviation)"
    r"(?![a-z])"
)
"""Of such quantities, these can be negative."""

_PILE: Final = 10
_PILED_SHARE: Final = 0.01
"""So many labels, and such a share of them, that are exactly 0 and the smallest show a quantity that ends there: of
random values none are equal."""


@dataclass(frozen=True)
class Bounds:
    """What a prediction and its interval keep to.

    Attributes:
        minimum: In the target's unit; None if there is none.
        maximum: Likewise.
        reason: Why, in words; empty if there are none.
    """

    minimum: float | None = None
    maximum: float | None = None
    reason: str = ""

    def __bool__(self) -> bool:
        """Whether there is one."""
        return self.minimum is not None or self.maximum is not None

    def limit(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values float64 [n], those outside replaced by the bound."""
        return np.clip(values, self.minimum, self.maximum) if self else values

    def text(self, unit: str) -> str:
        """Return them in words."""
        words = [
            f"{side} {value:g} {unit}".rstrip()
            for side, value in (("at least", self.minimum), ("at most", self.maximum))
            if value is not None
        ]
        return f"{' and '.join(words)}: {self.reason}" if words else "none"


UNBOUNDED: Final = Bounds()


def find_bounds(
    target: str,
    labels: NDArray[np.float64],
    minimum: float | None = None,
    maximum: float | None = None,
    *,
    is_column: bool = True,
) -> Bounds:
    """Return the bounds of a property: those given, or 0 from below where the training labels are plain about it.

    Labels that happen to be positive are not plain. One of two things has to be added: the name of the column is that
    of a quantity which is not negative by definition; or the labels pile up at exactly 0.

    Args:
        target: Name of the column.
        labels: float64 [n], of the training rows.
        minimum: Given by the user; minus infinity for none.
        maximum: Given by the user; infinity for none.
        is_column: Whether the target is a column, not an expression: a difference of two moduli is not a modulus.

    Raises:
        TrainingError: One is not a number, the two are in the wrong order, or a label is outside.
    """
    if minimum is None and maximum is None:
        return _plain_bounds(target if is_column else "", labels)
    if math.isnan(minimum or 0.0) or math.isnan(maximum or 0.0):
        raise TrainingError("a minimum or maximum is not a number (nan)", "give a number, or leave it out")
    least, most = (None if bound is None or math.isinf(bound) else bound for bound in (minimum, maximum))
    if least is not None and most is not None and not least < most:
        raise TrainingError(f"the minimum {least:g} is not below the maximum {most:g}", "exchange them")
    bounds = UNBOUNDED if least is None and most is None else Bounds(least, most, "given with the training")
    check_labels(labels, bounds, target)
    return bounds


def check_labels(labels: NDArray[np.float64], bounds: Bounds, target: str) -> None:
    """Raise TrainingError if training labels float64 [n] of a column are outside the bounds."""
    outside = labels[bounds.limit(labels) != labels]
    if len(outside):
        raise TrainingError(
            f"{len(outside):,} of {len(labels):,} training labels of {target} are outside the bounds "
            f"({bounds.text('')}), such as {outside[0]:g}",
            Hint(
                "correct these rows or leave them out with where, or train with another minimum or maximum",
                cli="correct these rows or leave them out with --where, or train with another --minimum or --maximum",
            ),
        )


def _plain_bounds(target: str, labels: NDArray[np.float64]) -> Bounds:
    if labels.min() < 0.0:
        return UNBOUNDED
    quantity = quantity_of(target)
    name = quantity.lower()
    if _NOT_NEGATIVE.search(name) and not _DERIVED.search(name):
        return Bounds(0.0, None, f"a {quantity} is not negative, and no training label is")
    zeros = int(np.count_nonzero(labels == 0.0))
    if zeros >= max(_PILE, _PILED_SHARE * len(labels)):
        return Bounds(0.0, None, f"{zeros:,} of {len(labels):,} training labels are exactly 0 and none is below")
    return UNBOUNDED
