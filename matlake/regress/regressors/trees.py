"""Decision trees and the ensembles made of them. 4,096 leaves a tree bound a head, however many rows there are."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.regressors.regressor import Model, Parameters, Regressor, log_uniform, whatever_features

MAX_LEAVES: Final = 4096


def _fit_tree(parameters: Parameters, x: NDArray[np.float32], y: NDArray[np.float64], seed: int) -> Regressor:
    from sklearn.tree import DecisionTreeRegressor

    return _fitted(DecisionTreeRegressor(**parameters, max_leaf_nodes=MAX_LEAVES, random_state=seed), x, y)


def _fit_random_forest(parameters: Parameters, x: NDArray[np.float32], y: NDArray[np.float64], seed: int) -> Regressor:
    from sklearn.ensemble import RandomForestRegressor

    return _fitted(RandomForestRegressor(**parameters, max_leaf_nodes=MAX_LEAVES, random_state=seed), x, y)


def _fit_extra_trees(parameters: Parameters, x: NDArray[np.float32], y: NDArray[np.float64], seed: int) -> Regressor:
    from sklearn.ensemble import ExtraTreesRegressor

    return _fitted(ExtraTreesRegressor(**parameters, max_leaf_nodes=MAX_LEAVES, random_state=seed), x, y)


def _fit_bagging(parameters: Parameters, x: NDArray[np.float32], y: NDArray[np.float64], seed: int) -> Regressor:
    from sklearn.ensemble import BaggingRegressor
    from sklearn.tree import DecisionTreeRegressor

    tree = DecisionTreeRegressor(max_leaf_nodes=MAX_LEAVES)
    return _fitted(BaggingRegressor(tree, **parameters, random_state=seed), x, y)


def _fit_adaboost(parameters: Parameters, x: NDArray[np.float32], y: NDArray[np.float64], seed: int) -> Regressor:
    from sklearn.ensemble import AdaBoostRegressor
    from sklearn.tree import DecisionTreeRegressor

    tree = DecisionTreeRegressor(max_features="sqrt", max_leaf_nodes=MAX_LEAVES)
    return _fitted(AdaBoostRegressor(tree, **parameters, random_state=seed), x, y)


def _fit_gradient_boosting(
    parameters: Parameters, x: NDArray[np.float32], y: NDArray[np.float64], seed: int
) -> Regressor:
    from sklearn.ensemble import GradientBoostingRegressor

    return _fitted(GradientBoostingRegressor(**parameters, subsample=0.5, max_features="sqrt", random_state=seed), x, y)


def _fitted(estimator: Any, x: NDArray[np.float32], y: NDArray[np.float64]) -> Regressor:
    with _threads():
        regressor: Regressor = estimator.fit(x, y)
    return regressor


@contextmanager
def _threads() -> Iterator[None]:
    """Grow trees in all threads. Predictions stay in one: several would add the trees up in an order that varies."""
    from joblib import parallel_config

    with parallel_config(backend="threading", n_jobs=os.cpu_count()):
        yield


def _draw_forest(rng: np.random.Generator, n_features: int) -> Parameters:
    few = min(0.5, 1.0 / np.sqrt(n_features))
    return {
        "n_estimators": 100,
        "max_features": log_uniform(rng, few, 0.5),
        "min_samples_leaf": int(rng.choice([1, 1, 2, 3, 5])),
    }


def _draw_adaboost(rng: np.random.Generator, n_features: int) -> Parameters:  # noqa: ARG001 - one signature for all
    return {
        "n_estimators": int(rng.choice([30, 50, 100])),
        "learning_rate": log_uniform(rng, 0.1, 2.0),
        "loss": str(rng.choice(["linear", "square", "exponential"])),
    }


def _draw_gradient_boosting(rng: np.random.Generator, n_features: int) -> Parameters:  # noqa: ARG001 - one signature for all
    return {
        "n_estimators": int(rng.choice([200, 300, 500])),
        "learning_rate": log_uniform(rng, 0.02, 0.15),
        "max_depth": int(rng.integers(3, 9)),
        "min_samples_leaf": int(rng.choice([1, 3, 5])),
    }


_FOREST_GRID: Final = whatever_features(
    [{"n_estimators": 100, "max_features": "sqrt", "min_samples_leaf": leaf} for leaf in (1, 3)]
)

DECISION_TREE: Final = Model(
    "decision-tree",
    _fit_tree,
    whatever_features([{"min_samples_leaf": leaf} for leaf in (5, 2, 10)]),
    lambda rng, _: {"min_samples_leaf": int(rng.integers(1, 20))},
    scaled=False,
)
RANDOM_FOREST: Final = Model("random-forest", _fit_random_forest, _FOREST_GRID, _draw_forest, scaled=False)
EXTRA_TREES: Final = Model(
    "extra-trees",
    _fit_extra_trees,
    # A third of the features at a split is 3 % better on attributes (docs/transfer.md), and costs four times as much.
    lambda d: [*_FOREST_GRID(d), {"n_estimators": 100, "max_features": 0.33, "min_samples_leaf": 1}],
    _draw_forest,
    scaled=False,
)
BAGGING: Final = Model(
    "bagging",
    _fit_bagging,
    whatever_features([{"n_estimators": 50, "max_features": share} for share in (0.3, 1.0)]),
    lambda rng, _: {"n_estimators": 50, "max_features": float(rng.choice([0.1, 0.2, 0.3, 0.5, 0.7, 1.0]))},
    scaled=False,
)
ADABOOST: Final = Model(
    "adaboost",
    _fit_adaboost,
    whatever_features(
        [
            *({"n_estimators": 50, "learning_rate": 1.0, "loss": loss} for loss in ("linear", "square")),
            {"n_estimators": 100, "learning_rate": 0.2, "loss": "square"},
        ]
    ),
    _draw_adaboost,
    scaled=False,
)
GRADIENT_BOOSTING: Final = Model(
    "gradient-boosting",
    _fit_gradient_boosting,
    whatever_features([{"n_estimators": 300, "learning_rate": 0.05, "max_depth": depth} for depth in (6, 3)]),
    _draw_gradient_boosting,
    scaled=False,
)
