"""Whether a property is a number, or yes or no."""

from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.errors import TrainingError

MIN_CLASS_ROWS: Final = 10
"""Rows of each class: of fewer, no probability can be calibrated, and no share measured."""


class Kind(StrEnum):
    """What a head predicts."""

    NUMBER = "number"
    YES_NO = "yes/no"


def kind_of(y: NDArray[np.float64]) -> Kind:
    """Return the kind of a property with the values float64 [n]: yes or no if they are 0 and 1 only."""
    return Kind.YES_NO if bool(np.isin(y, (0.0, 1.0)).all()) else Kind.NUMBER


def strata_of(y: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """Return what folds are to hold in equal shares: the classes float64 [n] of a yes/no property, None of a number."""
    return y if kind_of(y) is Kind.YES_NO else None


def check_classes(y: NDArray[np.float64], target: str, where: str = "rows") -> None:
    """Refuse labels of a yes/no property that hold too few of a class.

    Args:
        y: float64 [n], 0 or 1.
        target: The property.
        where: What the n labels are of, such as ``training rows``.

    Raises:
        TrainingError: They do.
    """
    yes = int(np.count_nonzero(y))
    rare, count = ("yes", yes) if yes < len(y) - yes else ("no", len(y) - yes)
    if count < MIN_CLASS_ROWS:
        raise TrainingError(
            f"{target} is {rare} in only {count} of {len(y):,} {where}; "
            f"at least {MIN_CLASS_ROWS} of each class are needed",
            "select more rows of that class, or choose another split",
        )
