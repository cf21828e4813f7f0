"""Recalibration: what a few labels of a new domain say of intervals, expected errors and a constant error of a head.

All is on the scale on which the target is fitted. Intervals are split-conformal on the new labels, so they hold their
level of materials like those (Papadopoulos et al., ECML 2002, 345; with signed quantiles as in ``conformal``).
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.metrics import sign_flip_test
from matlake.regress.splits import grouped_folds
from matlake.regress.targets.target_space import TargetSpace
from matlake.regress.uncertainty.conformal import signed_quantiles
from matlake.regress.uncertainty.error_model import ErrorModel, half_spread
from matlake.regress.uncertainty.intervals import Interval
from matlake.regress.uncertainty.recalibration import Held

FEWEST_ROWS: Final = 20
"""Labels to recalibrate on: the smallest and the largest of 20 errors are missed once in 21 times each."""

SIGNIFICANT: Final = 0.01
"""A mean error with a larger p-value may be chance, and is left alone."""

_FOLDS: Final = 10


@dataclass(frozen=True)
class NewLabels:
    """Predictions for rows of a new domain, and what was measured.

    Attributes:
        predicted: float64 [n], on the fitted scale, without a shift.
        errors: float64 [n], measured minus predicted, there.
        expected: float64 [n], expected absolute errors there.
        groups: str [n], composition of each row.
    """

    predicted: NDArray[np.float64]
    errors: NDArray[np.float64]
    expected: NDArray[np.float64]
    groups: NDArray[np.str_]

    def take(self, rows: NDArray[np.intp]) -> "NewLabels":
        """Return some of the rows."""
        return NewLabels(self.predicted[rows], self.errors[rows], self.expected[rows], self.groups[rows])


@dataclass(frozen=True)
class Adjustment:
    """What the labels of a new domain change.

    Attributes:
        shift: Added to predictions on the fitted scale; 0 where their mean error may be chance.
        shift_p_value: Of a mean error of zero, by ``sign_flip_test`` over compositions.
        error_factor: Of expected errors on the fitted scale.
        interval: How intervals are made.
        errors: How expected errors are.
    """

    shift: float
    shift_p_value: float
    error_factor: float
    interval: Interval
    errors: ErrorModel


def adjust(labels: NewLabels, interval: Interval, errors: ErrorModel, space: TargetSpace, seed: int) -> Adjustment:
    """Find the shift, the scale of expected errors and the quantiles that suit some labels.

    Args:
        labels: The labels.
        interval: How intervals were made.
        errors: How expected errors were.
        space: Of the target.
        seed: Of the test of the shift.
    """
    p_value = sign_flip_test(labels.errors, labels.groups, seed)
    shift = float(labels.errors.mean()) if p_value < SIGNIFICANT else 0.0
    predicted, left = labels.predicted + shift, labels.errors - shift
    factor = float(np.mean(np.abs(left) / labels.expected)) or 1.0
    expected = factor * labels.expected
    level, below, above = signed_quantiles(left / expected)
    widest = max(interval.widest or 0.0, float(np.abs(left).max()))
    inverse = space.transform.inverse
    spread = half_spread(predicted, expected, space)
    in_unit = np.abs(inverse(predicted + left) - inverse(predicted))
    return Adjustment(
        shift,
        p_value,
        factor,
        Interval(level, (below + above) / 2.0, interval.floor, len(left), widest, below, above),
        replace(
            errors,
            constant=factor * errors.constant,
            parts={signal: factor * part for signal, part in errors.parts.items()},
            scale=float(in_unit.mean() / spread.mean()) or errors.scale,
            shift=shift,
        ),
    )


def held_before(labels: NewLabels, interval: Interval, errors: ErrorModel, space: TargetSpace) -> Held:
    """Measure intervals and expected errors as they are, on all labels."""
    shifts, factors = np.zeros(len(labels.errors)), np.ones(len(labels.errors))
    return _held(labels, shifts, factors, [(np.arange(len(shifts)), interval, errors)], space)


def held_after(labels: NewLabels, interval: Interval, errors: ErrorModel, space: TargetSpace, seed: int) -> Held:
    """Measure what recalibration makes of them: each fold of compositions is predicted from the others alone."""
    shifts, factors = np.zeros(len(labels.errors)), np.ones(len(labels.errors))
    parts = []
    for rows, held in grouped_folds(labels.groups, min(_FOLDS, len(np.unique(labels.groups))), seed):
        found = adjust(labels.take(rows), interval, errors, space, seed)
        shifts[held], factors[held] = found.shift, found.error_factor
        parts.append((held, found.interval, found.errors))
    return _held(labels, shifts, factors, parts, space)


def _held(
    labels: NewLabels,
    shifts: NDArray[np.float64],
    factors: NDArray[np.float64],
    parts: list[tuple[NDArray[np.intp], Interval, ErrorModel]],
    space: TargetSpace,
) -> Held:
    predicted, expected = labels.predicted + shifts, labels.expected * factors
    measured = space.to_property(labels.predicted + labels.errors)
    lower, upper, stated = (np.empty(len(predicted)) for _ in range(3))
    for rows, interval, errors in parts:
        lower[rows], upper[rows] = interval.ends_by(predicted[rows], expected[rows], space)
        stated[rows] = errors.errors(predicted[rows], expected[rows], space)
    mae = float(np.abs(space.to_property(predicted) - measured).mean())
    return Held(
        coverage=float(np.mean((lower <= measured) & (measured <= upper))),
        mean_width=float((upper - lower).mean()),
        mae=mae,
        error_ratio=mae / float(stated.mean()),
    )
