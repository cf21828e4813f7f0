"""Linear models."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.regressors.labelled_rows import Weights
from matlake.regress.regressors.moments import Moments, moments_of
from matlake.regress.regressors.regressor import FitRegressor, Model, Parameters, Regressor, fixed_grid, log_uniform

_MAX_SWEEPS: Final = 2000
_MAX_EPOCHS: Final = 200


def _linear(name: str, **constants: Any) -> FitRegressor:
    """Return a function that fits a model of ``sklearn.linear_model``, imported when it is used.

    Args:
        name: Name of its class.
        constants: Its parameters that no search varies.
    """

    def fit(
        parameters: Parameters, z: NDArray[np.float64], y: NDArray[np.float64], seed: int, weights: Weights
    ) -> Regressor:
        from sklearn import linear_model

        estimator = getattr(linear_model, name)(**parameters, **constants)
        if "random_state" in estimator.get_params():
            estimator.set_params(random_state=seed)
        regressor: Regressor = estimator.fit(z, y, sample_weight=weights)
        return regressor

    return fit


def _sgd_parameters(n_features: int, loss: str, alpha: float, step: float) -> Parameters:
    """A step is stable below 2/|x|², and d standardised features have |x|² near d."""
    return {"loss": loss, "epsilon": 0.05, "alpha": alpha, "eta0": step / n_features}


def _sgd_grid(n_features: int) -> list[Parameters]:
    settings = (("epsilon_insensitive", 1e-3), ("squared_error", 1e-3), ("epsilon_insensitive", 1e-2))
    return [_sgd_parameters(n_features, loss, alpha, 0.3) for loss, alpha in settings]


def _draw_sgd(rng: np.random.Generator, n_features: int) -> Parameters:
    loss = ("epsilon_insensitive", "squared_error")[rng.integers(2)]
    return _sgd_parameters(n_features, loss, log_uniform(rng, 1e-5, 1e-1), log_uniform(rng, 0.1, 1.0))


def _fit_ridge(
    parameters: Parameters, z: NDArray[np.float64], y: NDArray[np.float64], _seed: int, weights: Weights
) -> Regressor:
    return _ridge_of(parameters, moments_of(None, z, y, weights))


def _ridge_of(parameters: Parameters, moments: Moments) -> Regressor:
    """Solve the normal equations, as scikit-learn's Ridge does, without a copy of the rows."""
    from scipy.linalg import LinAlgError, lstsq, solve
    from sklearn.linear_model import Ridge

    gram = moments.gram.copy()
    gram.flat[:: len(gram) + 1] += parameters["alpha"]
    estimator = Ridge(**parameters)
    try:
        estimator.coef_ = solve(gram, moments.cross, assume_a="pos")
    except LinAlgError:
        estimator.coef_ = lstsq(gram, moments.cross)[0]
    estimator.intercept_ = moments.target - float(moments.mean @ estimator.coef_)
    estimator.n_features_in_ = len(gram)
    regressor: Regressor = estimator
    return regressor


RIDGE: Final = Model(
    "ridge",
    _fit_ridge,
    fixed_grid([{"alpha": alpha} for alpha in (100.0, 10.0, 1000.0)]),
    lambda rng, _: {"alpha": log_uniform(rng, 1e-1, 1e4)},
    weighted=True,
    fit_moments=_ridge_of,
)
LINEAR: Final = Model(
    "linear", _linear("LinearRegression", copy_X=False), fixed_grid([{}]), lambda _rng, _: {}, weighted=True
)
LASSO: Final = Model(
    "lasso",
    _linear("Lasso", max_iter=_MAX_SWEEPS, precompute=True),
    fixed_grid([{"alpha": alpha} for alpha in (0.01, 0.003, 0.03)]),
    lambda rng, _: {"alpha": log_uniform(rng, 1e-3, 1e-1)},
    weighted=True,
)
ELASTIC_NET: Final = Model(
    "elastic-net",
    _linear("ElasticNet", max_iter=_MAX_SWEEPS, precompute=True),
    fixed_grid([{"alpha": alpha, "l1_ratio": 0.5} for alpha in (0.01, 0.003, 0.03)]),
    lambda rng, _: {"alpha": log_uniform(rng, 1e-3, 1e-1), "l1_ratio": float(rng.choice([0.1, 0.3, 0.5, 0.7, 0.9]))},
    weighted=True,
)
SGD: Final = Model("sgd", _linear("SGDRegressor", max_iter=_MAX_EPOCHS, tol=1e-4), _sgd_grid, _draw_sgd, weighted=True)
