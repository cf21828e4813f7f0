"""The expected absolute error of a prediction, from signals that are known beforehand."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.targets.target_space import TargetSpace
from matlake.regress.uncertainty.signals import AMOUNTS, FACTORS, Signal

_WORTH_NAMING: Final = 0.2
"""A signal is named as a reason if that share of the excess is due to it."""


@dataclass(frozen=True)
class ErrorModel:
    """E|error| = (constant + Σ part · amount) · Π factor ^ exponent, on the scale on which the target is fitted.

    It was fitted to out-of-fold errors of the training rows (see ``fit_error_model``).

    Attributes:
        constant: On the fitted scale.
        parts: By amount among the signals, none negative.
        exponents: By factor among the signals, none negative.
        typical: By signal, its mean over training rows predicted by fits without their composition.
        scale: From half the spread that the expected error makes in the property's unit to the mean error there.
        limit: A prediction with a larger expected error carries a warning, in the property's unit: the 80th percentile
            of training rows that were predicted by fits without their composition.
        shift: Of a recalibration: added to predictions on the fitted scale. Signals are those without it, as labels
            and second opinions are.
    """

    constant: float
    parts: dict[str, float]
    exponents: dict[str, float]
    typical: dict[str, float]
    scale: float
    limit: float
    shift: float = 0.0

    def fitted_errors(self, signals: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return expected absolute errors on the fitted scale, float64 [n], of signals float64 [n, signals]."""
        return self._sums(signals) * np.exp(signals[:, len(AMOUNTS) :] @ self._exponents)

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
        weights = np.concatenate(
            [np.tile(self._parts, (len(signals), 1)), np.tile(self._exponents, (len(signals), 1))], 1
        )
        weights[:, : len(AMOUNTS)] /= self._sums(signals)[:, None]
        excess = np.maximum(weights * (signals - np.array([self.typical[signal] for signal in Signal])), 0.0)
        names, total = list(Signal), excess.sum(axis=1)
        return [
            [names[place] for place in np.argsort(-row, kind="stable") if row[place] > _WORTH_NAMING * whole]
            for row, whole in zip(excess, total, strict=True)
        ]

    @property
    def _parts(self) -> NDArray[np.float64]:
        return np.array([self.parts[signal] for signal in AMOUNTS])

    @property
    def _exponents(self) -> NDArray[np.float64]:
        return np.array([self.exponents[signal] for signal in FACTORS])

    def _sums(self, signals: NDArray[np.float64]) -> NDArray[np.float64]:
        sums: NDArray[np.float64] = self.constant + signals[:, : len(AMOUNTS)] @ self._parts
        return sums


def half_spread(predicted: NDArray[np.float64], errors: NDArray[np.float64], space: TargetSpace) -> NDArray[np.float64]:
    """Return half the distance between values an error above and below, in the property's unit, float64 [n].

    Values keep to the bounds: a prediction of 0 can only be too low.

    Args:
        predicted: float64 [n], on the fitted scale.
        errors: float64 [n], absolute, there.
        space: Of the target.
    """
    return (space.to_property(predicted + errors) - space.to_property(predicted - errors)) / 2.0
