"""Fitting a model to rows and a target in its unit."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from matlake.regress.regressors.regressor import Model, Parameters, Regressor
from matlake.regress.regressors.scaling import Scaler, fit_scaler


@dataclass(frozen=True)
class Fitted:
    """A model fitted to a standardised target, and the scaling of the target.

    Attributes:
        scaler: Of the features; None if they are used unscaled.
        regressor: What was fitted.
        mean: Of the target, in its unit.
        std: Of the target, in its unit.
    """

    scaler: Scaler | None
    regressor: Regressor | Any
    mean: float
    std: float

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return predictions in the target's unit.

        Args:
            x: float32 [n, d].

        Returns:
            float64 [n].
        """
        scaled = self.regressor.predict(self.scaler.transform(x) if self.scaler else x)
        return np.asarray(scaled, dtype=np.float64) * self.std + self.mean


Fit: TypeAlias = Callable[[NDArray[np.float32], NDArray[np.float64]], Fitted]
"""From features [n, d] and target [n] of some rows to what is fitted to them."""


def fit_model(
    model: Model, parameters: Parameters, x: NDArray[np.float32], y: NDArray[np.float64], seed: int
) -> Fitted:
    """Fit scaler and model.

    Args:
        model: The kind.
        parameters: Of its grid.
        x: float32 [n, d], training rows only.
        y: float64 [n], target in its unit.
        seed: Of models that draw random numbers.
    """
    from sklearn.exceptions import ConvergenceWarning

    mean, std = float(y.mean()), float(y.std()) or 1.0  # a fold's target may be constant
    scaler, features = fit_scaler(x) if model.scaled else (None, x)
    with warnings.catch_warnings():
        # An unfinished iteration is still a model, and cross-validation measures it as such.
        warnings.simplefilter("ignore", ConvergenceWarning)
        regressor = model.fit(parameters, features, (y - mean) / std, seed)
    return Fitted(scaler, regressor, mean, std)
