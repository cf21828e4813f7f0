"""Weighted means of several regressors, each with its own parameters and preparation of the features."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.regressors.catalogue import MODELS
from matlake.regress.regressors.fitting import Fitted, fit_model
from matlake.regress.regressors.regressor import Model, Parameters

ENSEMBLE: Final = "ensemble"


@dataclass(frozen=True)
class WeightedMean:
    """Fitted regressors and their weights.

    Attributes:
        members: Fitted to features as they are and to the standardised target.
        weights: float64 [k], not negative, with sum 1.
    """

    members: tuple[Fitted, ...]
    weights: NDArray[np.float64]

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the weighted mean of the members' predictions, float64 [n], for features float32 [n, d]."""
        mean: NDArray[np.float64] = self.weights @ np.array([member.predict(x) for member in self.members])
        return mean


def ensemble_parameters(members: list[tuple[str, Parameters, float]]) -> Parameters:
    """Return the parameters of an ensemble, as they go into a card.

    Args:
        members: Name of a model of ``MODELS``, its parameters, and its weight.
    """
    return {
        "members": [
            {"model": model, "parameters": parameters, "weight": weight} for model, parameters, weight in members
        ]
    }


def ensemble_model(parameters: Parameters) -> Model:
    """Return an ensemble as a kind of regressor whose only parameters are those given.

    It is made from what a search has found, so it has no name in ``MODELS``.

    Args:
        parameters: Of ``ensemble_parameters``.
    """
    return Model(ENSEMBLE, _fit_ensemble, lambda _: [parameters], lambda _, __: parameters, scaled=False)


def _fit_ensemble(parameters: Parameters, x: NDArray[Any], y: NDArray[np.float64], seed: int) -> WeightedMean:
    members = parameters["members"]
    return WeightedMean(
        tuple(fit_model(MODELS[member["model"]], member["parameters"], x, y, seed) for member in members),
        np.array([member["weight"] for member in members]),
    )
