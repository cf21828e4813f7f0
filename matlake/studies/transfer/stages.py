"""The stages of a transfer study: rounds of the search on validation rows, and what is measured of its choice.

The rounds are those of successive halving (Jamieson and Talwalkar, Proc. AISTATS 51, 240, 2016) with the rows fitted to
as the resource: many methods on few rows, few methods on all.
"""

from dataclasses import dataclass
from typing import Final

from matlake.regress.splits import Rows, subsample
from matlake.studies.results import Schema
from matlake.studies.transfer.target_rows import TargetRows

VALIDATION: Final = "validation"
"""On held-out parts of the training rows, from which the choice is made."""

TEST: Final = "test"
"""On the test rows, after the choice."""

FOLDS: Final = "folds"
"""Cross-validation of what was chosen, over all rows that are not tested on."""

CURVE: Final = "curve"
"""On the test rows, fitted to a part of the training rows: a point of a learning curve."""

SCHEMA: Final = Schema(
    "evaluations",
    "key target configuration=method features model parameters stage rung=round fit_rows judged_rows=tested_rows "
    "mae q95 mae_std unseen_mae=outside_mae seconds error predictions",
)
"""Columns are named as in version 0.1.0, whose tables are read and resumed."""


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
