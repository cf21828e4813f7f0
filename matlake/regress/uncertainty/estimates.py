"""What is known of the error of predictions: intervals, expected absolute errors, and what these are due to."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.targets.target_space import TargetSpace
from matlake.regress.uncertainty.applicability import FARTHEST, value_range
from matlake.regress.uncertainty.error_model import ErrorModel, half_spread
from matlake.regress.uncertainty.intervals import Interval
from matlake.regress.uncertainty.reference_set import Reference, Surroundings
from matlake.regress.uncertainty.signals import Signal, blend, signals_of

_SHOWN: Final = 3  # signals named beside an expected error


@dataclass(frozen=True)
class Estimates:
    """Of n predictions.

    Attributes:
        lower: float64 [n], lower ends of the intervals, in the target's unit.
        upper: float64 [n], upper ends.
        expected_errors: float64 [n], expected absolute errors, in the target's unit; NaN for a head older than them.
        fitted_errors: float64 [n], expected absolute errors on the fitted scale; NaN for a head older than them.
        causes: For each row, why its expected error is above the limit; nothing for one that is not.
    """

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    expected_errors: NDArray[np.float64]
    fitted_errors: NDArray[np.float64]
    causes: list[tuple[str, ...]]


def estimate(
    values: NDArray[np.float64],
    opinions: NDArray[np.float64],
    around: Surroundings,
    reference: Reference,
    rarest: NDArray[np.int64],
    interval: Interval,
    errors: ErrorModel | None,
    space: TargetSpace,
    unit: str,
) -> Estimates:
    """Estimate how far n predictions may be off.

    Args:
        values: float64 [n], predictions in the target's unit.
        opinions: float64 [n, k], second opinions on the fitted scale.
        around: The reference rows around them.
        reference: The reference rows.
        rarest: int64 [n], number of training rows that hold the rarest element of each.
        interval: How intervals are made.
        errors: How expected errors are; None for a head older than them.
        space: Of the target.
        unit: Of the target, for texts.
    """
    if errors is None:
        ends = interval.ends(values, around, space.bounds)
        unknown = np.full(len(values), np.nan)
        return Estimates(*ends, unknown, unknown, [()] * len(values))
    predicted, labels = space.to_fit(values), space.to_fit(reference.value)
    signals = signals_of(predicted - errors.shift, opinions, around, labels, rarest)
    fitted_errors = errors.fitted_errors(signals)
    expected = errors.errors(predicted, fitted_errors, space)
    causes: list[tuple[str, ...]] = [()] * len(values)
    large = np.flatnonzero(expected > errors.limit)
    if len(large):
        scores = around.scores[large]
        texts = _Texts(around.take(large), reference, predicted[large], opinions[large], rarest[large], space, unit)
        for place, (row, drivers) in enumerate(zip(large.tolist(), errors.drivers(signals[large]), strict=True)):
            if scores[place] > FARTHEST and Signal.SCORE in drivers:
                drivers.remove(Signal.SCORE)  # a reason by itself
            first = f"the expected error of {_in(expected[row], unit)} is above {_in(errors.limit, unit)}"
            causes[row] = (first, *(texts.of(driver, place) for driver in drivers[:_SHOWN]))
    return Estimates(*interval.ends_by(predicted, fitted_errors, space), expected, fitted_errors, causes)


class _Texts:
    """What drives the expected errors of some predictions, in words."""

    def __init__(
        self,
        around: Surroundings,
        reference: Reference,
        predicted: NDArray[np.float64],
        opinions: NDArray[np.float64],
        rarest: NDArray[np.int64],
        space: TargetSpace,
        unit: str,
    ) -> None:
        self._unit, self._rarest, self._scores = unit, rarest, around.scores
        self._low, self._high = around.label_ranges(reference.value)
        mean, _ = blend(around, space.to_fit(reference.value))
        self._blend = space.to_property(mean)
        self._opinions = space.to_property(np.sort(opinions, axis=1))
        self._residuals = half_spread(predicted, around.local_residuals, space)

    def of(self, driver: Signal, row: int) -> str:
        """Return the text of one of the drivers of a row."""
        match driver:
            case Signal.RESIDUALS:
                return f"materials like it were predicted with a mean error of {_in(self._residuals[row], self._unit)}"
            case Signal.OPINIONS:
                ends = value_range(self._opinions[row, 0], self._opinions[row, -1], self._unit)
                return f"regressors of single encoders give other values: {ends}"
            case Signal.SCORE:
                return f"few training materials are near: the out-of-distribution score is {self._scores[row]:.2f}"
            case Signal.SPREAD:
                ends = value_range(self._low[row], self._high[row], self._unit)
                return f"the nearest training materials differ: {ends}"
            case Signal.ESTIMATE:
                mean = _in(self._blend[row], self._unit)
                return f"the value is far from the mean of the nearest training materials, {mean}"
            case Signal.ELEMENTS:
                return f"its rarest element is in {self._rarest[row]:,} training materials"


def _in(value: float, unit: str) -> str:
    return f"{value:.2g} {unit}".rstrip()
