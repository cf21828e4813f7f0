"""The fit of the expected absolute error to out-of-fold errors of the training rows."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.splits import grouped_folds
from matlake.regress.targets.target_space import TargetSpace
from matlake.regress.uncertainty.error_model import ErrorModel, half_spread
from matlake.regress.uncertainty.signals import AMOUNTS, FACTORS, Signal

WARNED: Final = 0.2
"""Share of materials like those of the training rows whose expected error is above the limit."""

_FAR_WEIGHT: Final = 0.25
"""Of an error with the row's clusters left out, against one of a random fold. With equal weights, errors of materials
like the training rows were overestimated, those of measured formation enthalpies by 1.4.
"""

_RIDGE: Final = 0.02
_FEW_RIDGE: Final = 2.0
"""Penalty for the mean error of n rows: a constant, and a part that falls as 1/n: few errors decide little."""

_SMALLEST, _LARGEST = np.exp(-7.0), np.exp(3.0)
"""Of the terms of the sum, in units of the mean error."""

_NEGLIGIBLE: Final = 0.1
"""Of the mean error: a smaller one counts as that much, and so does the constant at least. Bounds make errors of 0,
such as of metals among insulators, which would promise no error at all to what resembles them.
"""

_MOST_EXPONENT: Final = 5.0
_FOLDS: Final = 5
_ROUNDING: Final = 1e-9
"""Standard deviation of a logarithm that is the same in all rows, at most."""


@dataclass(frozen=True)
class KnownErrors:
    """Predictions whose error is known, with their signals.

    Attributes:
        signals: float64 [n, signals].
        predicted: float64 [n], on the fitted scale.
        errors: float64 [n], measured minus predicted, there.
        groups: Numbers of compositions [n].
    """

    signals: NDArray[np.float64]
    predicted: NDArray[np.float64]
    errors: NDArray[np.float64]
    groups: NDArray[np.intp]

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> "KnownErrors":
        """Return some of them."""
        return KnownErrors(self.signals[rows], self.predicted[rows], self.errors[rows], self.groups[rows])


def fit_error_model(near: KnownErrors, far: KnownErrors, space: TargetSpace) -> ErrorModel:
    """Fit the expected error.

    Errors are taken to follow a Laplace distribution whose scale is the expected error: its likelihood is largest where
    the mean of |error| / expected is 1. Penalties draw all terms of the sum to an equal share, and exponents to 0.

    Args:
        near: Of random folds: in the end these decide scale and limit.
        far: Of folds of clusters.
        space: Of the target.
    """
    model = _fit(near, far)
    spread = half_spread(near.predicted, model.fitted_errors(near.signals), space)
    inverse = space.transform.inverse
    errors = np.abs(inverse(near.predicted + near.errors) - inverse(near.predicted))
    scale = float(errors.mean() / spread.mean())
    return replace(model, scale=scale, limit=float(np.quantile(scale * spread, 1.0 - WARNED)))


def cross_fitted(near: KnownErrors, far: KnownErrors, seed: int = 0) -> NDArray[np.float64]:
    """Return for each row of ``near`` the expected error, on the fitted scale, of a model fitted without it.

    A model that had been fitted to the very errors that intervals are calibrated on would make them too narrow.
    """
    expected = np.empty(len(near.errors))
    folds = min(_FOLDS, len(np.unique(near.groups)))
    for rows, held in grouped_folds(near.groups, folds, seed):
        model = _fit(near.take(rows), far.take(~np.isin(far.groups, near.groups[held])))
        expected[held] = model.fitted_errors(near.signals[held])
    return expected


def _fit(near: KnownErrors, far: KnownErrors) -> ErrorModel:
    """Return a model of the error on the fitted scale, without scale and limit in the unit."""
    from scipy.optimize import minimize

    signals = np.concatenate([near.signals, far.signals])
    weights = np.concatenate([np.ones(len(near.errors)), np.full(len(far.errors), _FAR_WEIGHT)])
    weights /= weights.sum()
    errors = np.abs(np.concatenate([near.errors, far.errors]))
    average = float(weights @ errors) or float(np.finfo(np.float32).tiny)
    n = len(AMOUNTS)
    size = signals[:, :n].mean(axis=0)
    size[size <= 0.0] = 1.0
    amounts = np.column_stack([np.ones(len(errors)), signals[:, :n] / size])
    middle, deviation = signals[:, n:].mean(axis=0), signals[:, n:].std(axis=0)
    deviation[deviation <= _ROUNDING] = 1.0  # equal scores, as of few temperatures alone
    factors = (signals[:, n:] - middle) / deviation
    ratios, penalty = np.maximum(errors / average, _NEGLIGIBLE), _RIDGE + _FEW_RIDGE / len(near.errors)
    equal = -float(np.log(n + 1))

    def loss(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        terms, exponents = amounts * np.exp(x[: n + 1]), x[n + 1 :]
        total = terms.sum(axis=1)
        logarithm = np.log(total) + factors @ exponents
        relative = ratios * np.exp(-logarithm)
        slope = weights * (1.0 - relative)
        off = x[: n + 1] - equal
        value = weights @ (logarithm + relative) + 0.5 * penalty * (0.5 * off @ off + exponents @ exponents)
        of_terms = (slope / total) @ terms + 0.5 * penalty * off
        return float(value), np.concatenate([of_terms, factors.T @ slope + penalty * exponents])

    start = np.concatenate([np.full(n + 1, equal), np.full(len(FACTORS), 0.1)])
    least = [np.log(_NEGLIGIBLE), *[np.log(_SMALLEST)] * n]
    limits = [(one, np.log(_LARGEST)) for one in least] + [(0.0, _MOST_EXPONENT)] * len(FACTORS)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=limits).x
    exponents = found[n + 1 :] / deviation
    terms = average * np.exp(found[: n + 1] - middle @ exponents)
    return ErrorModel(
        constant=float(terms[0]),
        parts=dict(zip(AMOUNTS, (terms[1:] / size).tolist(), strict=True)),
        exponents=dict(zip(FACTORS, exponents.tolist(), strict=True)),
        typical=dict(zip(Signal, near.signals.mean(axis=0).tolist(), strict=True)),
        scale=1.0,
        limit=np.inf,
    )
