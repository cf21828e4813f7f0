"""Linear models."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.regressors.regressor import Model, Parameters, Regressor, log_uniform, whatever_features

_MAX_SWEEPS: Final = 2000
_MAX_EPOCHS: Final = 200


def _fit_ridge(parameters: Parameters, z: NDArray[np.float64], y: NDArray[np.float64], seed: int) -> Regressor:  # noqa: ARG001 - one signature for all
    from sklearn.linear_model import Ridge

    return _fitted(Ridge(**parameters, copy_X=False), z, y)


def _fit_linear(parameters: Parameters, z: NDArray[np.float64], y: NDArray[np.float64], seed: int) -> Regressor:  # noqa: ARG001 - one signature for all
    from sklearn.linear_model import LinearRegression

    return _fitted(LinearRegression(**parameters, copy_X=False), z, y)


def _fit_lasso(parameters: Parameters, z: NDArray[np.float64], y: NDArray[np.float64], seed: int) -> Regressor:  # noqa: ARG001 - one signature for all
    from sklearn.linear_model import Lasso

    return _fitted(Lasso(**parameters, max_iter=_MAX_SWEEPS, precompute=True), z, y)


def _fit_elastic_net(parameters: Parameters, z: NDArray[np.float64], y: NDArray[np.float64], seed: int) -> Regressor:  # noqa: ARG001 - one signature for all
    from sklearn.linear_model import ElasticNet

    return _fitted(ElasticNet(**parameters, max_iter=_MAX_SWEEPS, precompute=True), z, y)


def _fit_sgd(parameters: Parameters, z: NDArray[np.float64], y: NDArray[np.float64], seed: int) -> Regressor:
    from sklearn.linear_model import SGDRegressor

    return _fitted(SGDRegressor(**parameters, max_iter=_MAX_EPOCHS, tol=1e-4, random_state=seed), z, y)


def _fitted(estimator: Any, z: NDArray[np.float64], y: NDArray[np.float64]) -> Regressor:
    regressor: Regressor = estimator.fit(z, y)
    return regressor


def _sgd_parameters(n_features: int, loss: str, alpha: float, step: float) -> Parameters:
    """A step is stable below 2/|x|², and d standardised features have |x|² near d."""
    return {"loss": loss, "epsilon": 0.05, "alpha": alpha, "eta0": step / n_features}


def _sgd_grid(n_features: int) -> list[Parameters]:
    settings = (("epsilon_insensitive", 1e-3), ("squared_error", 1e-3), ("epsilon_insensitive", 1e-2))
    return [_sgd_parameters(n_features, loss, alpha, 0.3) for loss, alpha in settings]


def _draw_sgd(rng: np.random.Generator, n_features: int) -> Parameters:
    loss = ("epsilon_insensitive", "squared_error")[rng.integers(2)]
    return _sgd_parameters(n_features, loss, log_uniform(rng, 1e-5, 1e-1), log_uniform(rng, 0.1, 1.0))


RIDGE: Final = Model(
    "ridge",
    _fit_ridge,
    whatever_features([{"alpha": alpha} for alpha in (100.0, 10.0, 1000.0)]),
    lambda rng, _: {"alpha": log_uniform(rng, 1e-1, 1e4)},
)
LINEAR: Final = Model("linear", _fit_linear, whatever_features([{}]), lambda _rng, _: {})
LASSO: Final = Model(
    "lasso",
    _fit_lasso,
    whatever_features([{"alpha": alpha} for alpha in (0.01, 0.003, 0.03)]),
    lambda rng, _: {"alpha": log_uniform(rng, 1e-3, 1e-1)},
)
ELASTIC_NET: Final = Model(
    "elastic-net",
    _fit_elastic_net,
    whatever_features([{"alpha": alpha, "l1_ratio": 0.5} for alpha in (0.01, 0.003, 0.03)]),
    lambda rng, _: {"alpha": log_uniform(rng, 1e-3, 1e-1), "l1_ratio": float(rng.choice([0.1, 0.3, 0.5, 0.7, 0.9]))},
)
SGD: Final = Model("sgd", _fit_sgd, _sgd_grid, _draw_sgd)
