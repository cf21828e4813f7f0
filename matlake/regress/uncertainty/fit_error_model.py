"""The fit of the expected absolute error to out-of-fold errors of the training rows."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.splits import grouped_folds
from matlake.regress.targets.target_space import TargetSpace
from matlake.regress.uncertainty.error_model import ErrorModel, half_spread
from matlake.regress.uncertainty.signals import Signal

WARNED: Final = 0.2
"""Share of materials like those of the training rows whose expected error is above the limit."""

_FAR_WEIGHT: Final = 0.25
"""Of an error with the row's clusters left out, against one of a random fold: with more, errors of materials like the
training rows were overestimated; with none, errors elsewhere were taken for those of materials at hand."""

_RIDGE: Final = 0.02
_FEW_RIDGE: Final = 2.0
"""Penalty of the slopes for the mean error of n rows: a constant, and a part that falls as 1/n, so that a few errors
cannot make large slopes."""

_FOLDS: Final = 5


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


def fit_error_model(near: KnownErrors, far: KnownErrors, floor: float, space: TargetSpace) -> ErrorModel:
    """Fit the expected error.

    Errors are taken to follow a Laplace distribution whose scale is the expected error: its likelihood is largest where
    the mean of |error| / expected is 1. The slopes have a penalty, and none is negative.

    Args:
        near: Of random folds: in the end these decide scale and limit.
        far: Of folds of clusters.
        floor: That signals were made with.
        space: Of the target.
    """
    intercept, slopes = _fit(near, far)
    fitted = np.exp(intercept + near.signals @ slopes)
    spread = half_spread(near.predicted, fitted, space)
    inverse = space.transform.inverse
    scale = float(np.abs(inverse(near.predicted + near.errors) - inverse(near.predicted)).mean() / spread.mean())
    return ErrorModel(
        intercept=intercept,
        slopes=dict(zip(Signal, slopes.tolist(), strict=True)),
        typical=dict(zip(Signal, near.signals.mean(axis=0).tolist(), strict=True)),
        floor=floor,
        scale=scale,
        limit=float(np.quantile(scale * spread, 1.0 - WARNED)),
    )


def cross_fitted(near: KnownErrors, far: KnownErrors, seed: int = 0) -> NDArray[np.float64]:
    """Return for each row of ``near`` the expected error, on the fitted scale, of a model fitted without it.

    A model that had been fitted to the very errors that intervals are calibrated on would make them too narrow.
    """
    expected = np.empty(len(near.errors))
    folds = min(_FOLDS, len(np.unique(near.groups)))
    for rows, held in grouped_folds(near.groups, folds, seed):
        intercept, slopes = _fit(near.take(rows), far.take(~np.isin(far.groups, near.groups[held])))
        expected[held] = np.exp(intercept + near.signals[held] @ slopes)
    return expected


def _fit(near: KnownErrors, far: KnownErrors) -> tuple[float, NDArray[np.float64]]:
    """Return the intercept and the slopes, float64 [signals]."""
    from scipy.optimize import minimize

    signals = np.concatenate([near.signals, far.signals])
    errors = np.abs(np.concatenate([near.errors, far.errors]))
    weights = np.concatenate([np.ones(len(near.errors)), np.full(len(far.errors), _FAR_WEIGHT)])
    weights /= weights.sum()
    mean, deviation = signals.mean(axis=0), signals.std(axis=0)
    z = (signals - mean) / np.where(deviation > 0.0, deviation, 1.0)
    average = float(weights @ errors) or float(np.finfo(np.float32).tiny)
    ratios, penalty = errors / average, _RIDGE + _FEW_RIDGE / len(near.errors)

    def loss(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logarithm = x[0] + z @ x[1:]
        relative = ratios * np.exp(-logarithm)
        slope = weights * (1.0 - relative)
        value = float(weights @ (logarithm + relative)) + 0.5 * penalty * float(x[1:] @ x[1:])
        return value, np.concatenate([[slope.sum()], z.T @ slope + penalty * x[1:]])

    start = np.concatenate([[0.0], np.full(z.shape[1], 0.1)])
    limits = [(-20.0, 20.0), *[(0.0, 5.0)] * z.shape[1]]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=limits).x
    slopes = np.where(deviation > 0.0, found[1:] / np.where(deviation > 0.0, deviation, 1.0), 0.0)
    return float(found[0] + np.log(average) - mean @ slopes), slopes
