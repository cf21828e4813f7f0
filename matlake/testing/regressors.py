"""The contract of a regressor: a fit that can be repeated, and a head that needs no plug-in."""

from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.extras import require_extra
from matlake.regress.regressors import Fitted, Model, Parameters, Regressor, Weights, fit_model
from matlake.testing.requirements import require, require_name, unchanged

_ROWS: Final = 80
_FEATURES: Final = 6
_SEED: Final = 7
_DRAWS: Final = 3
_ALONE: Final = 5
_SAME: Final = 1e-6
"""Largest difference between equal predictions, relative to the standard deviation of the target: sums may be added up
in another order."""


def check_regressor(model: Model, *, rows: int = _ROWS, features: int = _FEATURES) -> None:
    """Check what ``train`` relies on.

    Parameter sets can be fitted, those drawn at random too; fits with one seed are equal; inputs are left alone; the
    prediction for a row does not depend on the others; weights count, where they are taken; and the ONNX head agrees
    with the model, uses nothing but standard operators, and so predicts where the plug-in is not installed.

    Args:
        model: What the entry point in ``matlake.regressors`` stands for.
        rows: Number of rows that are fitted; half as many more are predicted.
        features: Number of features.

    Raises:
        AssertionError: One of these does not hold.
        HeadError: The fitted model cannot be converted to ONNX, or the graph differs from it.
        MissingExtraError: The extra ``heads`` is not installed.
    """
    require_extra("heads", "checking a regressor")
    require(isinstance(model, Model), f"it is of type {type(model).__name__}, not matlake.regress.regressors.Model")
    require_name(model.name)
    x, y = _sample(rows + rows // 2, features)
    train, new = slice(0, rows), slice(rows, None)
    default = _check_parameters(model, x[train], y[train])
    fitted = _fit(model, default, x[train], y[train])
    _check_prediction(fitted, x[new])
    again = _fit(model, default, x[train], y[train])
    require(
        np.array_equal(fitted.predict(x[new]), again.predict(x[new])),
        "two fits to the same rows with the same seed predict differently: draw random numbers from the seed alone",
    )
    constant = _fit(model, default, x[train], np.full(rows, 2.5))
    require(np.isfinite(constant.predict(x[new])).all(), "fitted to equal targets, it predicts what is not a number")
    if model.weighted:
        _check_weights(model, default, x, y, rows)
    _check_head(fitted, x)


def _sample(rows: int, features: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return features as embeddings are, of very different scales and one constant, and a target that follows them."""
    random = np.random.default_rng(_SEED)
    plain = random.normal(size=(rows, features))
    y = 3.0 + plain @ np.linspace(1.0, 2.0, features) + 0.5 * plain[:, 0] ** 2 + 0.1 * random.normal(size=rows)
    x = plain * np.logspace(-3, 3, features) + np.linspace(-50.0, 50.0, features)
    x[:, -1] = 1.0
    return x.astype(np.float32), y


def _check_parameters(model: Model, x: NDArray[np.float32], y: NDArray[np.float64]) -> Parameters:
    """Fit what grid and search propose; return the default."""
    grid = model.grid(x.shape[1])
    require(isinstance(grid, list) and grid, "its grid has no parameter set: the first one is the default")
    draws = [model.draw(np.random.default_rng(seed), x.shape[1]) for seed in (*range(_DRAWS), 0)]
    require(draws[-1] == draws[0], "two draws with equal generators differ: draw from the generator alone")
    for parameters in (*grid, *draws[:-1]):
        require(isinstance(parameters, dict), f"a parameter set is of type {type(parameters).__name__}, not dict")
        predicted = _fit(model, parameters, x, y).predict(x)
        require(np.isfinite(predicted).all(), f"fitted with {parameters}, it predicts what is not a number")
    return grid[0]


def _fit(
    model: Model,
    parameters: Parameters,
    x: NDArray[np.float32],
    y: NDArray[np.float64],
    weights: Weights = None,
) -> Fitted:
    """Fit as ``train`` does; what the fit itself gets is not to be changed by it."""

    def fit(parameters: Parameters, x: NDArray[Any], y: NDArray[np.float64], seed: int, weights: Weights) -> Regressor:
        with unchanged(parameters=parameters, features=x, target=y, weights=weights):
            return model.fit(parameters, x, y, seed, weights)

    watched = replace(model, fit=fit)
    return fit_model(watched, parameters, x, y, _SEED, weights=weights)


def _check_prediction(fitted: Fitted, x: NDArray[np.float32]) -> None:
    scaled = fitted.scaler.transform(x) if fitted.scaler else x
    with unchanged(features=scaled):
        values = np.asarray(fitted.regressor.predict(scaled))
    require(values.shape == (len(x),), f"it predicts an array {values.shape} for {len(x)} rows, not ({len(x)},)")
    require(np.isfinite(values).all(), "it predicts what is not a number")
    alone = np.array([np.asarray(fitted.regressor.predict(scaled[[row]])).item() for row in range(_ALONE)])
    worst = float(np.abs(alone - values[:_ALONE]).max())
    require(worst <= _SAME, f"a row alone gets another prediction than among others: they differ by {worst:.1e}")


def _check_weights(
    model: Model, parameters: Parameters, x: NDArray[np.float32], y: NDArray[np.float64], rows: int
) -> None:
    train, new = slice(0, rows), slice(rows, None)
    plain, ones, uneven = (
        _fit(model, parameters, x[train], y[train], weights).predict(x[new])
        for weights in (None, np.ones(rows), np.where(y[train] > np.median(y[train]), 20.0, 0.05))
    )
    worst = float(np.abs(plain - ones).max() / y.std())
    require(worst <= _SAME, f"weights of one change its predictions by {worst:.1e} standard deviations of the target")
    require(not np.allclose(plain, uneven, rtol=_SAME), "it is marked as weighted, and weights change nothing")


def _check_head(fitted: Fitted, x: NDArray[np.float32]) -> None:
    from matlake.regress.onnx.convert import check_parity, convert, run_graph

    content = convert(fitted, x.shape[1])
    check_parity(content, fitted, x)
    whole = run_graph(content, x)
    alone = np.array([run_graph(content, x[[row]]).item() for row in range(_ALONE)])
    worst = float(np.abs(alone - whole[:_ALONE]).max()) / fitted.std
    require(worst <= _SAME, f"its ONNX graph gives a row alone another value than among others: {worst:.1e}")
