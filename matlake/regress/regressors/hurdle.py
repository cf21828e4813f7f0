"""A hurdle model: whether a property has the value that many materials share, and how large it is where it has not.

Half of all measured band gaps are exactly zero. A regressor of all rows puts small gaps between metals and insulators,
where there are none. Here one regressor, fitted to 0 and 1, estimates the probability p of the shared value z, and
another one the value m of materials that have another, fitted to these alone (Cragg, Econometrica 39, 829 (1971)).

The prediction makes the mean absolute error small: it is the median of a mixture, z with probability p, and else a
distance from z that is distributed around m - z as a log-Laplace variable of scale s. In closed form it is
z + (m - z)·((1 - 2p) / (1 - p))^s, and z from p = 1/2 on.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.regressors.fitting import Fitted, fit_model
from matlake.regress.regressors.labelled_rows import Weights
from matlake.regress.regressors.regressor import Model, Parameters
from matlake.regress.regressors.trees import ADABOOST, EXTRA_TREES

REPEATED: Final = 0.1
"""``auto`` tries the model where more than this share of the values are equal."""

_SPREAD: Final = 0.3
_SPREADS: Final = (0.15, 0.3, 0.6)
_PARTS: Final = {model.name: model for model in (EXTRA_TREES, ADABOOST)}


@dataclass(frozen=True)
class Hurdle:
    """A regressor of two parts.

    Attributes:
        repeated: z, the most frequent value, on the scale of the standardised target.
        probability: Fitted to 1 where a row has that value and to 0 elsewhere.
        others: Fitted to the rows that have another value.
        spread: s, the relative scale of errors of the latter.
    """

    repeated: float
    probability: Fitted
    others: Fitted
    spread: float

    def probabilities(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the probability of the repeated value, float64 [n], for features float32 [n, d]."""
        return np.clip(self.probability.predict(x), 0.0, 1.0)

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the median of the mixture, float64 [n], for features float32 [n, d]."""
        p = self.probabilities(x)
        ratio = np.maximum(1.0 - 2.0 * p, 0.0) / np.maximum(1.0 - p, 0.5)
        values: NDArray[np.float64] = self.repeated + (self.others.predict(x) - self.repeated) * ratio**self.spread
        return values


def repeated_share(y: NDArray[np.float64]) -> float:
    """Return the share of the most frequent of values float64 [n]."""
    return float(np.unique(y, return_counts=True)[1].max() / len(y))


def _fit_hurdle(parameters: Parameters, x: NDArray[Any], y: NDArray[np.float64], seed: int, weights: Weights) -> Hurdle:
    values, counts = np.unique(y, return_counts=True)
    repeated = float(values[np.argmax(counts)])
    is_repeated = y == repeated
    rows = np.flatnonzero(~is_repeated) if not is_repeated.all() else np.arange(len(y))

    def fit(part: Parameters, places: NDArray[np.intp], target: NDArray[np.float64]) -> Fitted:
        model = _PARTS[part["model"]]
        weighted = None if weights is None else weights[places]
        return fit_model(model, part["parameters"], x[places], target, seed, weights=weighted)

    probability = fit(parameters["probability"], np.arange(len(y)), is_repeated.astype(np.float64))
    return Hurdle(repeated, probability, fit(parameters["others"], rows, y[rows]), parameters["spread"])


def _part(model: Model, parameters: Parameters) -> Parameters:
    return {"model": model.name, "parameters": parameters}


def _grid(n_features: int) -> list[Parameters]:
    trees, boosted = EXTRA_TREES.grid(n_features)[-1], ADABOOST.grid(n_features)[-1]
    probability = _part(EXTRA_TREES, trees)
    others = (_part(EXTRA_TREES, trees), _part(ADABOOST, boosted))
    return [{"probability": probability, "others": part, "spread": _SPREAD} for part in others]


def _draw(rng: np.random.Generator, n_features: int) -> Parameters:
    names = list(_PARTS)
    others = _PARTS[names[rng.integers(len(names))]]
    return {
        "probability": _part(EXTRA_TREES, EXTRA_TREES.draw(rng, n_features)),
        "others": _part(others, others.draw(rng, n_features)),
        "spread": float(rng.choice(_SPREADS)),
    }


HURDLE: Final = Model("hurdle", _fit_hurdle, _grid, _draw, scaled=False, weighted=True)
