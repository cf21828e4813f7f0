"""Errors of a model on test rows, beside baselines that need no model."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.metrics import bootstrap, mean_baseline, measure
from matlake.regress.features.matrix import Matrix
from matlake.regress.heads.card import CurvePoint, Evaluation
from matlake.regress.regressors import Fit
from matlake.regress.splits import HeldOut, subsample
from matlake.regress.uncertainty.fit_reference import ReferenceRows

CURVE_SHARES: Final = (0.125, 0.25, 0.5)
"""Shares of the training rows in a learning curve, besides all of them."""

_FEWEST_ROWS: Final = 20
"""A point of a learning curve on fewer rows says nothing."""


def evaluate(
    matrix: Matrix, held_out: HeldOut, predicted: NDArray[np.float64], reference_rows: ReferenceRows, seed: int
) -> Evaluation:
    """Measure predictions for test rows.

    Args:
        matrix: All rows.
        held_out: Which of them the model was fitted to, and the test rows [m].
        predicted: float64 [m].
        reference_rows: Training rows among which the nearest one is found.
        seed: Of the bootstrap.
    """
    rows, test_rows = held_out.train, held_out.test
    y = matrix.y[test_rows]
    return Evaluation(
        n_train=len(rows),
        n_test=len(test_rows),
        metrics=measure(y, predicted),
        intervals=bootstrap(y, predicted, matrix.groups[test_rows], seed),
        baseline=mean_baseline(matrix.y[rows], y),
        nearest_baseline=measure(y, reference_rows.nearest_values(matrix, test_rows)),
    )


def learning_curve(fit: Fit, matrix: Matrix, held_out: HeldOut, seed: int) -> tuple[CurvePoint, ...]:
    """Measure fits to parts of the training rows, each part holding the one before.

    Args:
        fit: From features and target of some rows to what is fitted to them.
        matrix: All rows.
        held_out: Which of them to draw from, whole compositions at a time, and which to measure on.
        seed: Decides what is drawn.

    Returns:
        A point for each part, ascending; all training rows are not among them.
    """
    points = []
    for share in CURVE_SHARES:
        drawn = subsample(matrix.groups[held_out.train], round(share * len(held_out.train)), seed)
        if len(drawn) >= _FEWEST_ROWS:
            rows = held_out.train[drawn]
            predicted = fit(matrix.x[rows], matrix.y[rows]).predict(matrix.x[held_out.test])
            points.append(CurvePoint(len(rows), measure(matrix.y[held_out.test], predicted).mae))
    return tuple(points)
