"""The stages of a transfer study, and the columns of its table of results."""

from typing import Final

from matlake.studies.results import Schema

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
