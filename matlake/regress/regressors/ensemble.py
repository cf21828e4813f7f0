"""Weighted means of several regressors, each with its own parameters and preparation of the features."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.regressors.catalogue import ENSEMBLE, MODELS
from matlake.regress.regressors.fitting import Fitted, fit_model
from matlake.regress.regressors.labelled_rows import Weights
from matlake.regress.regressors.regressor import Model, Parameters
from matlake.regress.targets.target_space import PLAIN

MOST_PICKS: Final = 10


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
    """Return the parameters of an ensemble of models by name, with their parameters and weights, as a card has them."""
    return {"members": [{"model": name, "parameters": chosen, "weight": weight} for name, chosen, weight in members]}


def ensemble_model(parameters: Parameters) -> Model:
    """Return an ensemble as a kind of regressor whose only parameters are those given, of ``ensemble_parameters``.

    It is made from what a search has found, so it has no name in ``MODELS``.
    """
    weighted = all(MODELS[member["model"]].weighted for member in parameters["members"])
    return Model(
        ENSEMBLE, _fit_ensemble, lambda _: [parameters], lambda _, __: parameters, scaled=False, weighted=weighted
    )


def _fit_ensemble(
    parameters: Parameters, x: NDArray[Any], y: NDArray[np.float64], seed: int, weights: Weights
) -> WeightedMean:
    members = parameters["members"]
    return WeightedMean(
        tuple(
            fit_model(MODELS[member["model"]], member["parameters"], x, y, seed, weights=weights) for member in members
        ),
        np.array([member["weight"] for member in members]),
    )


def choose_members(
    y: NDArray[np.float64],
    predictions: NDArray[np.float64],
    most_members: int | None = None,
    loss: Callable[[NDArray[np.float64], NDArray[np.float64]], float] = PLAIN.loss,
) -> NDArray[np.float64]:
    """Return weights that make the error of a weighted mean small.

    Members are added one at a time, each time the one that helps most, also again, as long as one helps (Caruana et
    al., Proc. ICML 2004, 18): weights are counts, so that few rows cannot fit them closely.

    Args:
        y: float64 [n], measured.
        predictions: float64 [k, n], of k fits for the same rows.
        most_members: How many may get a weight; None for no limit.
        loss: Of what was measured and a mean, float64 [n] each; by default the mean absolute error.

    Returns:
        float64 [k], not negative, with sum 1.
    """
    counts = np.zeros(len(predictions))
    total = np.zeros(len(y))
    error = np.inf
    for picks in range(1, MOST_PICKS + 1):
        errors = np.array([loss(y, (total + each) / picks) for each in predictions])
        if most_members is not None and np.count_nonzero(counts) >= most_members:
            errors[counts == 0.0] = np.inf
        best = int(np.argmin(errors))
        if errors[best] >= error:
            break
        error = float(errors[best])
        counts[best] += 1.0
        total += predictions[best]
    weights: NDArray[np.float64] = counts / counts.sum()
    return weights
