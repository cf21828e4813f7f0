"""Sets of labels that hold the right one with a coverage for each class.

Conformal prediction conditional on the class, also called Mondrian (Vovk, Machine Learning 92, 349 (2013); least
ambiguous sets: Sadinle, Lei and Wasserman, J. Am. Stat. Assoc. 114, 223 (2019)): nine of ten materials that are *yes*
have yes in their set, and nine of ten that are *no* have no, however rare either is.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

YES: Final = "yes"
NO: Final = "no"
EITHER: Final = "yes or no"
THRESHOLD: Final = 0.5
"""Probability from which the label is yes."""


@dataclass(frozen=True)
class LabelSets:
    """How sets of labels are made from probabilities.

    Attributes:
        level: Share of the materials of either class whose set holds it, on data exchangeable with the training rows.
        yes_from: Smallest probability at which the set holds yes.
        no_up_to: Largest probability at which the set holds no.
        yes_rows: Calibration rows that are yes.
        no_rows: Calibration rows that are no.
    """

    level: float
    yes_from: float
    no_up_to: float
    yes_rows: int
    no_rows: int

    def holds(self, probabilities: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return whether the sets of n probabilities float64 [n] hold yes, and whether they hold no, bool [n] each.

        A set that would be empty holds the more probable label: coverage can only gain by it.
        """
        yes, no = probabilities >= self.yes_from, probabilities <= self.no_up_to
        empty, likely = ~(yes | no), probabilities >= THRESHOLD
        return yes | (empty & likely), no | (empty & ~likely)

    def names(self, probabilities: NDArray[np.float64]) -> NDArray[np.str_]:
        """Return the sets in words, [n]: ``yes``, ``no``, ``yes or no``."""
        yes, no = self.holds(probabilities)
        return np.where(yes & no, EITHER, np.where(yes, YES, NO))


def labels(probabilities: NDArray[np.float64]) -> NDArray[np.str_]:
    """Return the more probable label of each of n probabilities of yes, [n]."""
    return np.where(probabilities >= THRESHOLD, YES, NO)


def label_of(value: float) -> str:
    """Return the label of a measured value, 1 or 0."""
    return YES if value > 0.0 else NO


def mixed_labels(low: float, high: float) -> tuple[str, ...]:
    """Return that the nearest training materials disagree, if their smallest and largest value do."""
    return ("of the nearest training materials some are yes and some no",) if low != high else ()
