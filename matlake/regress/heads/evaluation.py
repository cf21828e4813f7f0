"""Errors of a model on test rows, beside baselines that need no model."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.metrics import bootstrap, mean_baseline, measure
from matlake.regress.features.matrix import Matrix
from matlake.regress.heads.card import CurvePoint, Evaluation
from matlake.regress.regressors import Fit, Model, Parameters, fit_model
from matlake.regress.splits import Rows, subsample
from matlake.regress.uncertainty.fit_reference import ReferenceRows

CURVE_SHARES: Final = (0.125, 0.25, 0.5)
"""Shares of the training rows in a learning curve, besides all of them."""

_FEWEST_ROWS: Final = 20
"""A point of a learning curve on fewer rows says nothing."""


def evaluate(
    matrix: Matrix,
    train_rows: Rows,
    test_rows: Rows,
    predicted: NDArray[np.float64],
    reference_rows: ReferenceRows,
    seed: int,
) -> Evaluation:
    """Measure predictions for test rows.

    Args:
        matrix: All rows.
        train_rows: Rows that the model was fitted to.
        test_rows: Rows that they are for [m].
        predicted: float64 [m].
        reference_rows: Training rows among which the nearest one is found.
        seed: Of the bootstrap.
    """
    y_train, y_test = matrix.y[train_rows], matrix.y[test_rows]
    return Evaluation(
        n_train=len(train_rows),
        n_test=len(test_rows),
        metrics=measure(y_test, predicted),
        intervals=bootstrap(y_test, predicted, matrix.groups[test_rows], seed),
        baseline=mean_baseline(y_train, y_test),
        nearest_baseline=measure(y_test, reference_rows.nearest_values(matrix, test_rows)),
    )


def learning_curve(
    model: Model, parameters: Parameters, matrix: Matrix, train_rows: Rows, test_rows: Rows, seed: int
) -> tuple[CurvePoint, ...]:
    """Measure the same model fitted to parts of the training rows; see ``curve_of``.

    Args:
        model: Kind of regressor.
        parameters: Its parameters.
        matrix: All rows.
        train_rows: Rows to draw from, whole compositions at a time.
        test_rows: Rows to measure on.
        seed: Decides what is drawn, and what models draw.
    """
    return curve_of(lambda x, y: fit_model(model, parameters, x, y, seed), matrix, train_rows, test_rows, seed)


def curve_of(fit: Fit, matrix: Matrix, train_rows: Rows, test_rows: Rows, seed: int) -> tuple[CurvePoint, ...]:
    """Measure fits to parts of the training rows, each part holding the one before.

    Args:
        fit: From features and target of some rows to what is fitted to them.
        matrix: All rows.
        train_rows: Rows to draw from, whole compositions at a time.
        test_rows: Rows to measure on.
        seed: Decides what is drawn.

    Returns:
        A point for each part, ascending; all training rows are not among them.
    """
    points = []
    for share in CURVE_SHARES:
        rows = train_rows[subsample(matrix.groups[train_rows], round(share * len(train_rows)), seed)]
        if len(rows) >= _FEWEST_ROWS:
            fitted = fit(matrix.x[rows], matrix.y[rows])
            mae = measure(matrix.y[test_rows], fitted.predict(matrix.x[test_rows])).mae
            points.append(CurvePoint(len(rows), mae))
    return tuple(points)
