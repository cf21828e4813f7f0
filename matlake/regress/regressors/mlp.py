"""A small multilayer perceptron."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.regressors.labelled_rows import Weights
from matlake.regress.regressors.regressor import Model, Parameters, Regressor, fixed_grid, log_uniform

_BATCH: Final = 64


def _fit_network(
    parameters: Parameters,
    z: NDArray[np.float64],
    y: NDArray[np.float64],
    seed: int,
    weights: Weights,  # noqa: ARG001 - one signature for all
) -> Regressor:
    """Train in float32, on one thread: batches are too small to share. What is kept computes in float64."""
    from sklearn.neural_network import MLPRegressor
    from threadpoolctl import threadpool_limits

    network = MLPRegressor(**parameters, batch_size=min(_BATCH, len(y)), random_state=seed)
    with threadpool_limits(1):
        network.fit(z.astype(np.float32), y.astype(np.float32))
    network.coefs_ = [weights.astype(np.float64) for weights in network.coefs_]
    network.intercepts_ = [biases.astype(np.float64) for biases in network.intercepts_]
    regressor: Regressor = network
    return regressor


def _parameters(alpha: float, widths: list[int]) -> Parameters:
    return {"hidden_layer_sizes": widths, "alpha": alpha, "learning_rate_init": 1e-3, "max_iter": 100}


def _draw(rng: np.random.Generator, n_features: int) -> Parameters:  # noqa: ARG001 - the signature of ``Model.draw``
    widths: list[list[int]] = [[64, 32], [128, 64], [256, 128]]
    return _parameters(log_uniform(rng, 0.03, 3.0), widths[rng.integers(3)])


MLP: Final = Model("mlp", _fit_network, fixed_grid([_parameters(alpha, [128, 64]) for alpha in (0.1, 1.0)]), _draw)
