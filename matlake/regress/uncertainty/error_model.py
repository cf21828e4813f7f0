"""The expected absolute error of a prediction, from signals that are known beforehand."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from matlake.regress.targets.target_space import TargetSpace
from matlake.regress.uncertainty.signals import Signal

_WORTH_NAMING = 0.2
"""A signal is named as a reason if that share of the excess of the logarithm is due to it."""


@dataclass(frozen=True)
class ErrorModel:
    """log E|error| = intercept + Σ slope · signal, on the scale on which the target is fitted.

    It was fitted to out-of-fold errors of the training rows (see ``fit_error_model``).

    Attributes:
        intercept: Of the logarithm.
        slopes: By signal, none negative.
        typical: By signal, its mean over training rows predicted by fits without their composition.
        floor: Of ``signals_of``.
        scale: From half the spread that the expected error makes in the property's unit to the mean error there.
        limit: A prediction with a larger expected error carries a warning, in the property's unit: the 80th percentile
            of training rows that were predicted by fits without their composition.
    """

    intercept: float
    slopes: dict[str, float]
    typical: dict[str, float]
    floor: float
    scale: float
    limit: float

    def fitted_errors(self, signals: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return expected absolute errors on the fitted scale, float64 [n], of signals float64 [n, signals]."""
        slopes = np.array([self.slopes[signal] for signal in Signal])
        expected: NDArray[np.float64] = np.exp(self.intercept + signals @ slopes)
        return expected

    def errors(
        self, predicted: NDArray[np.float64], fitted_errors: NDArray[np.float64], space: TargetSpace
    ) -> NDArray[np.float64]:
        """Return expected absolute errors in the property's unit, float64 [n].

        Args:
            predicted: float64 [n], on the fitted scale.
            fitted_errors: Of ``fitted_errors``.
            space: Of the target.
        """
        return self.scale * half_spread(predicted, fitted_errors, space)

    def drivers(self, signals: NDArray[np.float64]) -> list[list[Signal]]:
        """Return for each row of signals [n, signals] those that make its expected error large, largest first."""
        slopes = np.array([self.slopes[signal] for signal in Signal])
        excess = slopes * (signals - np.array([self.typical[signal] for signal in Signal]))
        total = np.maximum(excess, 0.0).sum(axis=1)
        names = list(Signal)
        return [
            [names[place] for place in np.argsort(-row, kind="stable") if row[place] > _WORTH_NAMING * whole]
            for row, whole in zip(excess, total, strict=True)
        ]


def half_spread(predicted: NDArray[np.float64], errors: NDArray[np.float64], space: TargetSpace) -> NDArray[np.float64]:
    """Return half the distance between values an error above and below, in the property's unit, float64 [n].

    Args:
        predicted: float64 [n], on the fitted scale.
        errors: float64 [n], absolute, there.
        space: Of the target.
    """
    inverse = space.transform.inverse
    return (inverse(predicted + errors) - inverse(predicted - errors)) / 2.0
