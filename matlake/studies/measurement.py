"""One error of one method on one property: what a study is made of, and what it goes on from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from matlake.metrics import measure
from matlake.regress.regressors import Parameters


class State(StrEnum):
    """What a cell of a comparison comes to.

    Attributes:
        MEASURED: In the last round, and on the test rows.
        PARTLY: With some of the seeds.
        UNTESTED: In the last round, not yet on the test rows.
        EARLY: Dropped by the search, or the search was stopped before its last round.
        REFUSED: For leakage.
        FAILED: Nothing of it could be measured in the last round, or its winner not on the test rows.
        NOT_RUN: No measurement at all.
    """

    MEASURED = "measured"
    PARTLY = "some seeds"
    UNTESTED = "untested"
    EARLY = "early rungs only"
    REFUSED = "refused"
    FAILED = "failed"
    NOT_RUN = "not run"


@dataclass(frozen=True)
class Measurement:
    """One error of one method on one property. A study sets the fields that it keeps (``results.Schema``).

    Attributes:
        key: Says what was measured, on which data: equal keys are never measured twice.
        target: Property column.
        method: Kind of method: ``head``, ``fine-tune``, …; of transfer the configuration, such as ``SC:ML(EF)``.
        features: ``NAME@LAYER`` of each feature.
        model: Name of the regressor or network, or how an encoder's weights are used.
        parameters: Of the regressor, or the settings of the training.
        split: As typed, in one spelling.
        seed: Of the split.
        stage: Which rows are predicted; see ``transfer.stages``.
        round: Of successive halving, from 0; the last one fits to all training rows.
        fit_rows: Rows fitted to, the mean over folds.
        tested_rows: Rows predicted.
        mae: Mean absolute error, in the target's unit; None where it failed, as are the following.
        rmse: Root of the mean squared error.
        q95: 95th percentile of the absolute errors.
        mae_std: Standard deviation of the MAE over folds, where there are several.
        outside_mae: MAE on those tested rows whose composition is outside the training set.
        validation_mae: Of a head in cross-validation on the training rows, of a network on the rows that ended its
            training; None of baselines.
        seconds: What it took.
        error: Why it failed; empty where it did not.
        predictions: float [tested_rows], in the order of the tested rows; empty where they are not kept.
        lower: float [tested_rows], lower ends of intervals; empty where they are not kept, as are the following.
        upper: Likewise, upper ends.
        scores: Likewise, out-of-distribution scores.
        material_ids: Likewise, ids of the tested rows.
    """

    key: str
    target: str
    method: str
    features: tuple[str, ...] = ()
    model: str = ""
    parameters: Parameters = field(default_factory=dict)
    split: str = ""
    seed: int = 0
    stage: str = ""
    round: int = 0
    fit_rows: int = 0
    tested_rows: int = 0
    mae: float | None = None
    rmse: float | None = None
    q95: float | None = None
    mae_std: float | None = None
    outside_mae: float | None = None
    validation_mae: float | None = None
    seconds: float = 0.0
    error: str = ""
    predictions: tuple[float, ...] = ()
    lower: tuple[float, ...] = ()
    upper: tuple[float, ...] = ()
    scores: tuple[float, ...] = ()
    material_ids: tuple[str, ...] = ()

    @property
    def is_measured(self) -> bool:
        """Whether there is an error to compare."""
        return self.mae is not None and math.isfinite(self.mae)


def with_errors(
    blank: Measurement,
    y: NDArray[np.float64],
    predicted: NDArray[np.floating],
    metrics: Sequence[str],
    *,
    keep: bool = True,
) -> Measurement:
    """Return a measurement with the errors of predictions.

    Args:
        blank: What was measured.
        y: float64 [m], true values.
        predicted: float [m].
        metrics: Fields of ``Metrics`` that are kept.
        keep: Whether the predictions are kept, too, in single precision.

    Raises:
        ValueError: A prediction is not finite.
    """
    errors = measure(y, predicted.astype(np.float64))
    if not math.isfinite(errors.rmse):
        raise ValueError("predictions are not finite")
    predictions = tuple(predicted.astype(np.float32).tolist()) if keep else ()
    found = {name: getattr(errors, name) for name in metrics}
    return replace(blank, tested_rows=len(y), predictions=predictions, **found)
