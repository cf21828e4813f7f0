"""The rounds of the search: many methods on few rows, few methods on all.

Successive halving (Jamieson and Talwalkar, Proc. AISTATS 51, 240, 2016) with the rows fitted to as the resource.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from matlake.regress.splits import Rows, subsample
from matlake.studies.transfer.target_rows import TargetRows


@dataclass(frozen=True)
class Round:
    """A round.

    Attributes:
        number: From 0.
        fit_rows: Most rows to fit to; None for all.
        validation_rows: Rows to validate on at least, by as many folds as they take.
        most_folds: Folds at most.
    """

    number: int
    fit_rows: int | None
    validation_rows: int
    most_folds: int

    def folds(self, target: TargetRows, seed: int) -> list[tuple[Rows, Rows]]:
        """Return for each fold the rows to fit to and the rows to validate on, ascending."""
        found: list[tuple[Rows, Rows]] = []
        validated = 0
        for number, held in enumerate(target.folds[: self.most_folds]):
            if validated >= self.validation_rows:
                break
            rows = target.fit_rows(number)
            if self.fit_rows is not None:
                rows = rows[subsample(target.groups[rows], self.fit_rows, seed)]
            found.append((rows, held))
            validated += len(held)
        return found


SCREEN: Final = Round(0, 1000, 200, 4)
"""Layers, by two quick regressors."""

SHORTLIST: Final = Round(1, 1000, 200, 4)
"""Regressors, on the layers that are left."""

SHORTLIST_OF_MANY: Final = Round(1, 2000, 200, 4)
"""The same where a target has many rows: on a thousand, wide features look better than they are on all."""

FINAL: Final = Round(2, None, 250, 5)
"""Finalists, on all rows. Where a tenth of the rows is few, several tenths are validated on in turn."""


def rows_of(folds: list[tuple[Rows, Rows]]) -> Rows:
    """Return all rows that some folds need, ascending."""
    rows: Rows = np.unique(np.concatenate([part for pair in folds for part in pair]))
    return rows
