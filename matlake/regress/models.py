"""The regressors on offer: fixed settings, a small grid each, and the largest data they are meant for.

All but trees are fitted on standardised features, all on a standardised target, so that one grid serves every property.
A grid is tried by cross-validation on training rows (see ``selection``).
"""

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from matlake.errors import TrainingError

Parameters: TypeAlias = dict[str, Any]

AUTO: Final = "auto"
AUTO_MODELS: Final = ("ridge", "svr", "knn", "extra-trees")
"""What ``auto`` chooses from: one linear, one smooth, one local and one piecewise-constant model."""

_TREES: Final = {"n_estimators": 100, "max_features": "sqrt", "max_leaf_nodes": 4096}
"""4,096 leaves bound the head's file to about 40 MB, however many rows there are."""


@dataclass(frozen=True)
class Model:
    """A kind of regressor.

    Attributes:
        name: What ``--model`` takes.
        build: Makes an unfitted scikit-learn estimator from parameters and a seed.
        grid: Gives the parameter sets to try for a number of features; the first is the default.
        max_rows: Most training rows it is meant for; None for no limit.
        wide: Whether it computes in float64. Embeddings are collinear: the large, opposite coefficients of a linear
            model leave no digits of float32.
        scaled: Whether features are standardised. Trees need none, and a scaled value that rounds to the other side
            of a threshold in ONNX would take another branch.
    """

    name: str
    build: Callable[[Parameters, int], Any]
    grid: Callable[[int], list[Parameters]]
    max_rows: int | None = None
    wide: bool = False
    scaled: bool = True


@dataclass(frozen=True)
class Fitted:
    """A model fitted to a standardised target, and the way back to the target's unit.

    Attributes:
        pipeline: scikit-learn's, a StandardScaler and the regressor.
        mean: Of the target, in its unit.
        std: Of the target, in its unit.
        wide: Whether it computes in float64.
    """

    pipeline: Any
    mean: float
    std: float
    wide: bool

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return predictions in the target's unit.

        Args:
            x: float32 [n, d].

        Returns:
            float64 [n].
        """
        scaled = self.pipeline.predict(x.astype(np.float64) if self.wide else x)
        return np.asarray(scaled, dtype=np.float64) * self.std + self.mean


def find_model(name: str, n_rows: int) -> Model:
    """Return a model that can be fitted to a number of rows.

    Raises:
        TrainingError: Unknown model, or more rows than it is meant for.
    """
    if name not in MODELS:
        raise TrainingError(f"unknown model {name!r}", f"models: {', '.join(MODELS)}, {AUTO}")
    model = MODELS[name]
    if model.max_rows is not None and n_rows > model.max_rows:
        unlimited = ", ".join(m.name for m in MODELS.values() if m.max_rows is None)
        raise TrainingError(
            f"{name} is limited to {model.max_rows:,} training rows, and there are {n_rows:,}",
            f"use one of {unlimited}, or select fewer rows with --where",
        )
    return model


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
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    mean, std = float(y.mean()), float(y.std()) or 1.0  # a fold's target may be constant
    regressor = model.build(parameters, seed)
    pipeline = make_pipeline(StandardScaler(with_mean=model.scaled, with_std=model.scaled), regressor)
    with warnings.catch_warnings():
        # Coordinate descent that stops early is still a model, and cross-validation has measured it as it is.
        warnings.simplefilter("ignore", ConvergenceWarning)
        pipeline.fit(x.astype(np.float64) if model.wide else x, (y - mean) / std)
    if "n_jobs" in regressor.get_params():
        regressor.set_params(n_jobs=1)  # threads would add up the trees in an order that varies
    return Fitted(pipeline, mean, std, model.wide)


def _build_ridge(parameters: Parameters, seed: int) -> Any:  # noqa: ARG001 - one signature for all
    from sklearn.linear_model import Ridge

    return Ridge(**parameters)


def _build_linear(parameters: Parameters, seed: int) -> Any:  # noqa: ARG001 - one signature for all
    from sklearn.linear_model import LinearRegression

    return LinearRegression(**parameters)


def _build_lasso(parameters: Parameters, seed: int) -> Any:  # noqa: ARG001 - one signature for all
    from sklearn.linear_model import Lasso

    return Lasso(**parameters, precompute=True)


def _build_elastic_net(parameters: Parameters, seed: int) -> Any:  # noqa: ARG001 - one signature for all
    from sklearn.linear_model import ElasticNet

    return ElasticNet(**parameters, precompute=True)


def _build_svr(parameters: Parameters, seed: int) -> Any:  # noqa: ARG001 - one signature for all
    from sklearn.svm import SVR

    return SVR(**parameters, cache_size=1000)


def _build_knn(parameters: Parameters, seed: int) -> Any:  # noqa: ARG001 - one signature for all
    from sklearn.neighbors import KNeighborsRegressor

    return KNeighborsRegressor(**parameters, weights="uniform", algorithm="brute")


def _build_random_forest(parameters: Parameters, seed: int) -> Any:
    from sklearn.ensemble import RandomForestRegressor

    return RandomForestRegressor(**parameters, random_state=seed, n_jobs=os.cpu_count())


def _build_extra_trees(parameters: Parameters, seed: int) -> Any:
    from sklearn.ensemble import ExtraTreesRegressor

    return ExtraTreesRegressor(**parameters, random_state=seed, n_jobs=os.cpu_count())


def _svr_grid(n_features: int) -> list[Parameters]:
    """``gamma`` in multiples of 1/d, which is the usual choice for d standardised features."""
    return [
        {"C": c, "gamma": multiple / n_features, "epsilon": 0.05}
        for c, multiple in ((10.0, 1.0), (3.0, 1.0), (10.0, 4.0), (30.0, 16.0))
    ]


def _tree_grid(n_features: int) -> list[Parameters]:  # noqa: ARG001 - one signature for all
    return [{**_TREES, "min_samples_leaf": leaf} for leaf in (1, 3)]


def _fixed(grid: list[Parameters]) -> Callable[[int], list[Parameters]]:
    return lambda n_features: grid  # noqa: ARG005 - one signature for all


MODELS: Final[dict[str, Model]] = {
    model.name: model
    for model in (
        Model("ridge", _build_ridge, _fixed([{"alpha": a} for a in (100.0, 10.0, 1000.0)]), wide=True),
        Model("linear", _build_linear, _fixed([{}]), wide=True),
        Model("lasso", _build_lasso, _fixed([{"alpha": a, "max_iter": 5000} for a in (0.01, 0.001, 0.1)]), wide=True),
        Model(
            "elastic-net",
            _build_elastic_net,
            _fixed([{"alpha": a, "l1_ratio": 0.5, "max_iter": 5000} for a in (0.01, 0.001, 0.1)]),
            wide=True,
        ),
        Model("svr", _build_svr, _svr_grid, max_rows=10_000),  # fitting grows with the square of the rows
        Model(
            "knn", _build_knn, _fixed([{"n_neighbors": k} for k in (5, 3, 10)]), max_rows=20_000
        ),  # a head is its rows
        Model("random-forest", _build_random_forest, _tree_grid, scaled=False),
        Model("extra-trees", _build_extra_trees, _tree_grid, scaled=False),
    )
}
