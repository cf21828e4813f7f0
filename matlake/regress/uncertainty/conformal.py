"""Calibration of intervals, of the expected error and of the out-of-distribution score, on training rows.

Errors are cross-conformal (Vovk, Ann. Math. Artif. Intell. 74, 9, 2015): those of models that were fitted without the
row and its composition.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.targets.target_space import PLAIN, TargetSpace
from matlake.regress.uncertainty.error_model import ErrorModel
from matlake.regress.uncertainty.fit_error_model import KnownErrors, cross_fitted, fit_error_model
from matlake.regress.uncertainty.intervals import Interval
from matlake.regress.uncertainty.nearest import nearest_rows
from matlake.regress.uncertainty.opinions import FoldOpinions
from matlake.regress.uncertainty.out_of_fold import OutOfFold
from matlake.regress.uncertainty.reference_set import LOCAL, NEAREST, Surroundings, scores
from matlake.regress.uncertainty.signals import rarest_elements, signals_of

LEVEL: Final = 0.9
"""Share of measured values that intervals are to hold; less if calibration rows are too few for it."""


_SCALE_ROWS: Final = 10_000
"""Rows whose scores say how far training rows are from each other."""


@dataclass(frozen=True)
class CalibrationRows:
    """Reference rows, and what is known of them.

    Attributes:
        coordinates: float32 [m, p], in the unit of the score.
        groups: Numbers of compositions [m].
        fractions: float32 [m, elements].
        labels: float64 [m], on the fitted scale.
        out_of_fold: Predictions for them, in the target's unit.
        opinions: Second opinions on them.
    """

    coordinates: NDArray[np.float32]
    groups: NDArray[np.intp]
    fractions: NDArray[np.float32]
    labels: NDArray[np.float64]
    out_of_fold: OutOfFold
    opinions: FoldOpinions


@dataclass(frozen=True)
class Calibrated:
    """What calibration finds.

    Attributes:
        interval: How intervals are made.
        errors: How expected errors are.
        near: Rows predicted by fits without their composition.
        near_rows: Which of the reference rows these are.
        near_expected: Their expected errors on the fitted scale, by models of the error that were fitted without them.
        far: Rows predicted by fits without their clusters of compositions.
        far_rows: Likewise.
    """

    interval: Interval
    errors: ErrorModel
    near: KnownErrors
    near_rows: NDArray[np.intp]
    near_expected: NDArray[np.float64]
    far: KnownErrors
    far_rows: NDArray[np.intp]


def calibrate(rows: CalibrationRows, space: TargetSpace = PLAIN, seed: int = 0) -> Calibrated:
    """Find what makes intervals hold ``LEVEL`` of the measured values, as many below as above, and expected errors.

    No end needs to be further away than the range of the labels, unless an error was larger. That costs no calibration
    row its interval, so of exchangeable rows at most one in m + 1.

    Args:
        rows: The reference rows.
        space: Of the target.
        seed: Decides the folds in which models of the error are fitted.
    """
    fold = rows.out_of_fold
    errors = rows.labels - space.to_fit(fold.predicted)
    residuals = np.abs(errors).astype(np.float32)
    near_rows, far_rows = np.flatnonzero(np.isfinite(fold.predicted)), np.flatnonzero(np.isfinite(fold.far))
    near = _known(rows, near_rows, (fold.predicted, rows.opinions.near), residuals, rows.groups, space)
    far = _known(rows, far_rows, (fold.far, rows.opinions.far), residuals, fold.cluster_fold, space)
    expected = cross_fitted(near, far, seed)
    level, below, above = signed_quantiles(near.errors / expected)
    widest = max(float(np.ptp(rows.labels)), float(np.abs(near.errors).max()))
    interval = Interval(level, (below + above) / 2.0, 0.0, len(near_rows), widest, below, above)
    return Calibrated(interval, fit_error_model(near, far, space), near, near_rows, expected, far, far_rows)


def signed_quantiles(scores: NDArray[np.float64], level: float = LEVEL) -> tuple[float, float, float]:
    """Return the level that is reached, and how far the lower and the upper end have to be from the prediction.

    Each end is missed with half of the probability that the level leaves, so an interval holds a value exchangeable
    with those of the scores with a probability of at least the level (Linusson et al. 2014).

    Args:
        scores: float64 [n], signed errors, measured minus predicted, each divided by its difficulty.
        level: Wanted; less is reached with fewer than 39 scores.
    """
    level = min(
        level, 1.0 - 2.02 / (len(scores) + 1)
    )  # the k-th of n errors cannot bound more than k / (n + 1) of them
    side = (1.0 + level) / 2.0
    return level, max(0.0, conformal_quantile(-scores, side)), max(0.0, conformal_quantile(scores, side))


def needed_levels(scores: NDArray[np.float64], known: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the levels above which the intervals of ``signed_quantiles`` hold values with given scores, float64 [n].

    Args:
        scores: float64 [n], signed errors of new rows, each divided by its difficulty.
        known: float64 [m], scores that the intervals are calibrated on.
    """
    ordered = np.sort(known)
    above = len(known) - np.searchsorted(ordered, scores, side="left")
    below = np.searchsorted(ordered, scores, side="right")
    beyond = np.where(scores >= 0.0, above, below)
    return np.asarray(np.clip(1.0 - 2.0 * (beyond + 1) / (len(known) + 1), 0.0, 1.0))


def conformal_quantile(scores: NDArray[np.float64], level: float) -> float:
    """Return the score that that of an exchangeable row does not exceed with a probability of at least ``level``.

    Of n scores it is the one with ⌊(1 - level)(n + 1)⌋ - 1 above it. Source: Papadopoulos et al., Machine Learning:
    ECML 2002, 345.

    Args:
        scores: float64 [n], of rows that the model was not fitted to.
        level: Between 0 and n / (n + 1).
    """
    not_below = int((1.0 - level) * (len(scores) + 1))
    return float(np.sort(scores)[-not_below])


def distance_scale(coordinates: NDArray[np.float32], groups: NDArray[np.intp]) -> float:
    """Return the 95th percentile of what the scores of training rows would be, had each been new.

    Args:
        coordinates: float32 [m, p]; a part of them, evenly spread over the rows, stands for all where they are many.
        groups: Numbers of compositions [m]: polymorphs do not count as neighbours here.
    """
    some = slice(None, None, -(-len(coordinates) // _SCALE_ROWS))
    distances, _ = nearest_rows(coordinates[some], coordinates, NEAREST, (groups[some], groups))
    scale = float(np.quantile(scores(distances), 0.95))
    return scale if scale > 0.0 else 1.0


def _known(
    rows: CalibrationRows,
    held: NDArray[np.intp],
    predictions: tuple[NDArray[np.float64], NDArray[np.float64]],
    residuals: NDArray[np.float32],
    apart: NDArray[np.intp],
    space: TargetSpace,
) -> KnownErrors:
    """Return the errors of some rows, with signals from reference rows that have another number in ``apart`` [m].

    Predictions are those of the head, float64 [m], and second opinions, float64 [m, k].
    """
    distances, near = nearest_rows(rows.coordinates[held], rows.coordinates, LOCAL, (apart[held], apart))
    around = Surroundings(distances, near, residuals)
    fitted, opinions = space.to_fit(predictions[0][held]), predictions[1][held]
    return KnownErrors(
        signals_of(fitted, opinions, around, rows.labels, _rarest_elsewhere(rows.fractions, held, apart)),
        fitted,
        rows.labels[held] - fitted,
        rows.groups[held],
    )


def _rarest_elsewhere(
    fractions: NDArray[np.float32], held: NDArray[np.intp], apart: NDArray[np.intp]
) -> NDArray[np.int64]:
    """Return how many rows with another number in ``apart`` hold the rarest element of each held row, int64 [h]."""
    holds = fractions > 0.0
    numbers, place = np.unique(apart, return_inverse=True)
    own = np.zeros((len(numbers), fractions.shape[1]), dtype=np.int64)
    np.add.at(own, place, holds)
    return rarest_elements(fractions[held], holds.sum(axis=0) - own[place[held]])
