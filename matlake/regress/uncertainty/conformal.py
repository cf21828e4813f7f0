"""Calibration of intervals and of the out-of-distribution score, on training rows.

Residuals are cross-conformal (Vovk, Ann. Math. Artif. Intell. 74, 9, 2015): those of models that were fitted without
the row and its composition.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.regressors import Fit, LabelledRows
from matlake.regress.splits import grouped_folds
from matlake.regress.targets.kinds import strata_of
from matlake.regress.uncertainty.intervals import Interval, difficulty
from matlake.regress.uncertainty.reference_set import LOCAL, NEAREST, Surroundings, scores
from matlake.store.searching.nearest import nearest_rows

LEVEL: Final = 0.9
"""Share of measured values that intervals are to hold; less if calibration rows are too few for it."""

FOLDS: Final = 5
SLOW_FOLDS: Final = 3
"""Of deep networks."""

ALL_FOLDS_ROWS: Final = 5000
"""Up to so many training rows every fold is held out once; above, one fold of a thousand rows or more is enough."""

_FLOOR: Final = 0.25
"""Share of the mean residual that is added to every local one."""


def predictions_of(fit: Fit, labelled: LabelledRows, folds: int, seed: int) -> NDArray[np.float64]:
    """Return what fits predict for rows held out from them, whole compositions at a time.

    Args:
        fit: From some rows to what is fitted to them.
        labelled: The n training rows.
        folds: Number of folds; fewer if there are fewer compositions.
        seed: Decides the folds.

    Returns:
        float64 [n]; NaN if the row was in no fold that was held out.
    """
    predicted = np.full(len(labelled), np.nan)
    count = min(folds, len(np.unique(labelled.groups)))
    cut = grouped_folds(labelled.groups, count, seed, strata_of(labelled.y))
    for rows, held in cut if len(labelled) <= ALL_FOLDS_ROWS else cut[:1]:
        predicted[held] = fit(labelled.take(rows)).predict(labelled.x[held])
    return predicted


def residuals_of(fit: Fit, labelled: LabelledRows, folds: int, seed: int) -> NDArray[np.float64]:
    """Return the absolute errors of what ``predictions_of`` predicts, float64 [n]."""
    errors: NDArray[np.float64] = np.abs(predictions_of(fit, labelled, folds, seed) - labelled.y)
    return errors


def distance_scale(coordinates: NDArray[np.float32], groups: NDArray[np.intp]) -> float:
    """Return the 95th percentile of what the scores of training rows would be, had each been new.

    Args:
        coordinates: float32 [m, p].
        groups: Numbers of compositions [m]: polymorphs do not count as neighbours here.
    """
    distances, _ = nearest_rows(coordinates, coordinates, NEAREST, (groups, groups))
    scale = float(np.quantile(scores(distances), 0.95))
    return scale if scale > 0.0 else 1.0


def calibrate(
    coordinates: NDArray[np.float32],
    residuals: NDArray[np.float64],
    groups: NDArray[np.intp],
    labels: NDArray[np.float64],
) -> Interval:
    """Find the quantile that makes intervals hold ``LEVEL`` of the measured values, and the widest that they may be.

    No interval needs more than the range of the labels on both sides, unless a residual was larger. That costs no
    calibration row its interval, so of exchangeable rows at most one in m + 1.

    Args:
        coordinates: float32 [m, p], in the unit of the score.
        residuals: float64 [m], out-of-fold; NaN if there is none.
        groups: Numbers of compositions [m].
        labels: float64 [m], measured values.
    """
    calibrating = np.isfinite(residuals)
    distances, near = nearest_rows(coordinates[calibrating], coordinates, LOCAL, (groups[calibrating], groups))
    floor = _FLOOR * float(np.mean(residuals[calibrating])) or float(np.finfo(np.float32).tiny)
    hardness = difficulty(Surroundings(distances, near, residuals.astype(np.float32)), floor)
    rows = int(calibrating.sum())
    level = min(LEVEL, 1.0 - 1.01 / (rows + 1))  # the k-th of n errors cannot bound more than k / (n + 1) of them
    quantile = conformal_quantile(residuals[calibrating] / hardness, level)
    widest = max(float(np.ptp(labels)), float(residuals[calibrating].max()))
    return Interval(level, quantile, floor, rows, widest)


def conformal_quantile(scores: NDArray[np.float64], level: float) -> float:
    """Return the score that that of an exchangeable row does not exceed with a probability of at least ``level``.

    Of n scores it is the one with ⌊(1 - level)(n + 1)⌋ - 1 above it. Source: Papadopoulos et al., Machine Learning:
    ECML 2002, p. 345.

    Args:
        scores: float64 [n], of rows that the model was not fitted to.
        level: Between 0 and n / (n + 1).
    """
    not_below = int((1.0 - level) * (len(scores) + 1))
    return float(np.sort(scores)[-not_below])
