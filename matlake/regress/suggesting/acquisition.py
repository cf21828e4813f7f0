"""How much a measurement is worth: expected improvement over what is known, or the expected error of a prediction.

Expected improvement is that of Jones, Schonlau and Welch (J. Global Optimization 13, 455, 1998, equation 15). Errors
are taken to be normal, as wide as the head's calibration says.
"""

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.errors import HeadError, Hint
from matlake.regress.targets.bounds import UNBOUNDED, Bounds

Float = NDArray[np.float64]

ERROR_TO_SPREAD: Final = math.sqrt(math.pi / 2.0)
"""Standard deviation of a normal distribution, in units of its mean absolute deviation."""

_SMALLEST: Final = 1e-12
"""Least spread, relative to the largest: a division by zero otherwise."""


class Wanted(StrEnum):
    """Which values of a property are wanted."""

    HIGHEST = "highest"
    LOWEST = "lowest"
    NEAR = "near"
    BETWEEN = "between"
    LIKELY = "most likely"
    UNLIKELY = "least likely"


@dataclass(frozen=True)
class Goal:
    """Which values of a property are wanted, and how much a measurement is worth for it.

    Attributes:
        wanted: Which; ``LIKELY`` and ``UNLIKELY`` are for yes/no properties, whose values are probabilities of yes.
        low: The value for ``NEAR``; the lower end for ``BETWEEN``. In the property's unit.
        high: The upper end for ``BETWEEN``.
        bounds: Of the property: nothing is gained beyond them.
    """

    wanted: Wanted = Wanted.HIGHEST
    low: float = math.nan
    high: float = math.nan
    bounds: Bounds = UNBOUNDED

    @staticmethod
    def of(*, minimise: bool = False, near: float | None = None, between: tuple[float, float] | None = None) -> "Goal":
        """Return the goal that a user has named; the highest values by default.

        Raises:
            HeadError: Several are named, or the ends of a range are not in order.
        """
        if minimise + (near is not None) + (between is not None) > 1:
            raise HeadError(
                "several goals are named",
                Hint("give one of minimise, near and between", cli="give one of --minimise, --near and --between"),
            )
        if near is not None:
            if not math.isfinite(near):
                raise HeadError(f"no value is near {near:g}", "name a finite one")
            return Goal(Wanted.NEAR, near)
        if between is not None:
            if not between[0] < between[1]:
                raise HeadError(f"the range {between[0]:g} to {between[1]:g} is empty", "exchange its ends")
            return Goal(Wanted.BETWEEN, *between)
        return Goal(Wanted.LOWEST if minimise else Wanted.HIGHEST)

    def of_classes(self) -> "Goal":
        """Return the same goal for a yes/no property: highest values are the most likely.

        Raises:
            HeadError: It names values.
        """
        found = {Wanted.HIGHEST: Wanted.LIKELY, Wanted.LOWEST: Wanted.UNLIKELY}.get(self.wanted)
        if found is None:
            raise HeadError(
                "a yes/no property has no values between yes and no",
                Hint("leave out near and between", cli="leave out --near and --between"),
            )
        return Goal(found)

    def within(self, bounds: Bounds, best: float) -> "Goal":
        """Return the same goal for a property with bounds.

        Raises:
            HeadError: The best known value is the best that is possible.
        """
        end = {Wanted.HIGHEST: bounds.maximum, Wanted.LOWEST: bounds.minimum}.get(self.wanted)
        if end is not None and best == end:
            raise HeadError(
                f"the best measured value, {best:g}, is the {self.wanted} that is possible",
                Hint("name a range: Goal.of(between=…)", cli="name a range: --between LOW HIGH"),
            )
        return replace(self, bounds=bounds)

    def loss(self, values: Float) -> Float:
        """Return how far values float64 [n] are from what is wanted, float64 [n]: smaller is better."""
        if self.wanted in (Wanted.HIGHEST, Wanted.LIKELY):
            return -values
        if self.wanted in (Wanted.LOWEST, Wanted.UNLIKELY):
            return values
        if self.wanted is Wanted.NEAR:
            return np.abs(values - self.low)
        return np.maximum(0.0, np.maximum(self.low - values, values - self.high))

    def best(self, measured: Float) -> float:
        """Return the best of measured values float64 [m]."""
        return float(measured[np.argmin(self.loss(measured))])

    def worth(self, values: Float, spreads: Float, best: float) -> Float:
        """Return what the measurement of n materials is worth, float64 [n].

        It is the expected improvement over the best known value, in the property's unit. For a range it is the
        probability that the value lies in it, since there may be any number of such materials; for a yes/no property
        the probability itself.

        Args:
            values: float64 [n], predicted.
            spreads: float64 [n], standard deviations of their errors.
            best: The best known value.
        """
        if self.wanted in (Wanted.BETWEEN, Wanted.LIKELY, Wanted.UNLIKELY):
            return self.chance(values, spreads, best)
        if self.wanted is Wanted.NEAR:
            # (d - |u|)+ = (u + d)+ - 2 (u)+ + (u - d)+ for the deviation u of the value and the known distance d
            deviation, distance = values - self.low, abs(best - self.low)
            sides = expected_excess(deviation, spreads, -distance) + expected_excess(deviation, spreads, distance)
            return np.maximum(0.0, sides - 2.0 * expected_excess(deviation, spreads, 0.0))
        sign, end = (1.0, self.bounds.maximum) if self.wanted is Wanted.HIGHEST else (-1.0, self.bounds.minimum)
        gained = expected_excess(sign * values, spreads, sign * best)
        return gained if end is None else np.maximum(0.0, gained - expected_excess(sign * values, spreads, sign * end))

    def chance(self, values: Float, spreads: Float, best: float) -> Float:
        """Return the probability that a value is better than the best known one, or is wanted, float64 [n]."""
        if self.wanted is Wanted.LIKELY:
            return values
        if self.wanted is Wanted.UNLIKELY:
            return 1.0 - values
        if self.wanted is Wanted.HIGHEST:
            return 1.0 - probability_below(best, values, spreads)
        if self.wanted is Wanted.LOWEST:
            return probability_below(best, values, spreads)
        low, high = (self.low, self.high)
        if self.wanted is Wanted.NEAR:
            distance = abs(best - self.low)
            low, high = self.low - distance, self.low + distance
        return probability_below(high, values, spreads) - probability_below(low, values, spreads)


HIGHEST_VALUES: Final = Goal()


def expected_excess(values: Float, spreads: Float, level: float) -> Float:
    """Return the mean of (y - level)+ over normal y, float64 [n]: expected improvement where larger is better.

    Args:
        values: float64 [n], means.
        spreads: float64 [n], standard deviations.
        level: What counts as no improvement.
    """
    safe = _safe(spreads)
    z = (values - level) / safe
    density = np.exp(-0.5 * z**2) / math.sqrt(2.0 * math.pi)
    excess: Float = np.maximum(0.0, (values - level) * _normal(z) + safe * density)
    return excess


def probability_below(level: float, values: Float, spreads: Float) -> Float:
    """Return the probability that normal values are below a level, float64 [n].

    Args:
        level: The level.
        values: float64 [n], means.
        spreads: float64 [n], standard deviations.
    """
    return _normal((level - values) / _safe(spreads))


def _safe(spreads: Float) -> Float:
    least = _SMALLEST * float(spreads.max(initial=0.0))
    return np.maximum(spreads, least or _SMALLEST)


def _normal(z: Float) -> Float:
    """Return the cumulative normal distribution, float64 [n]."""
    erf = np.frompyfunc(math.erf, 1, 1)
    return 0.5 * (1.0 + np.asarray(erf(z / math.sqrt(2.0)), dtype=np.float64))


def spreads_of(values: Float, lower: Float, upper: Float, expected_errors: Float, level: float) -> Float:
    """Return standard deviations of the errors of predictions, float64 [n]; NaN where nothing is known of them.

    They follow from the expected absolute error where there is one, else from the interval: from its longer half, as
    bounds may cut the other one off.

    Args:
        values: float64 [n], predicted.
        lower: float64 [n], lower ends of intervals; NaN where there is none.
        upper: float64 [n], upper ends.
        expected_errors: float64 [n], expected absolute errors; NaN where there is none.
        level: Share of measured values that intervals are to hold.
    """
    from_interval = np.maximum(upper - values, values - lower) / NormalDist().inv_cdf(0.5 + 0.5 * level)
    return np.where(np.isfinite(expected_errors), ERROR_TO_SPREAD * expected_errors, from_interval)
