"""One error of one way to predict one property: what an evaluation is made of, and what it goes on from."""

from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from matlake.regress.regressors import Parameters
from matlake.studies.ledger import Keyed

VALIDATION: Final = "validation"
"""On held-out parts of the training rows, from which the choice is made."""

TEST: Final = "test"
"""On the test rows, after the choice."""

FOLDS: Final = "folds"
"""Cross-validation of what was chosen, over all rows that are not tested on."""

CURVE: Final = "curve"
"""On the test rows, fitted to a part of the training rows: a point of a learning curve."""

SCHEMA: Final = pa.schema(
    [
        ("key", pa.string()),
        ("target", pa.string()),
        ("configuration", pa.string()),
        ("features", pa.string()),
        ("model", pa.string()),
        ("parameters", pa.string()),
        ("stage", pa.string()),
        ("rung", pa.int32()),
        ("fit_rows", pa.int64()),
        ("judged_rows", pa.int64()),
        ("mae", pa.float64()),
        ("q95", pa.float64()),
        ("mae_std", pa.float64()),
        ("unseen_mae", pa.float64()),
        ("seconds", pa.float64()),
        ("error", pa.string()),
        ("predictions", pa.list_(pa.float32())),
    ]
)


@dataclass(frozen=True)
class Measurement(Keyed):
    """One error of one way to predict one property.

    Attributes:
        target: Property column.
        configuration: Its name, such as ``SC:ML(EF)`` or ``TL:FineTune``.
        features: ``NAME@LAYER`` of each feature.
        model: Kind of regressor, or the way an encoder's weights are used.
        parameters: Its parameters.
        stage: ``VALIDATION``, ``TEST``, ``FOLDS`` or ``CURVE``.
        rung: Of the search, from 0; the last rung fits to all training rows.
        fit_rows: Rows fitted to, the mean over folds.
        judged_rows: Rows that the errors are taken over.
        mae: Mean absolute error, in the target's unit; None where it failed.
        q95: 95th percentile of the absolute errors, in the target's unit.
        mae_std: Standard deviation of the MAE over folds, where there are several.
        unseen_mae: MAE on those test rows whose composition is in no training row.
        seconds: What it took.
        error: Why it failed; empty where it did not.
        predictions: float [judged_rows], in the order of the judged rows; empty on early rungs.
    """

    target: str
    configuration: str
    features: tuple[str, ...]
    model: str
    parameters: Parameters
    stage: str
    rung: int
    fit_rows: int
    judged_rows: int
    mae: float | None
    q95: float | None
    mae_std: float | None = None
    unseen_mae: float | None = None
    seconds: float = 0.0
    error: str = ""
    predictions: tuple[float, ...] = ()
