"""Decision trees and the ensembles made of them. 4,096 leaves a tree bound a head, however many rows there are."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.platforms import usable_cores
from matlake.regress.regressors.labelled_rows import Weights
from matlake.regress.regressors.regressor import FitRegressor, Model, Parameters, Regressor, fixed_grid, log_uniform

MAX_LEAVES: Final = 4096

_BINS: Final = 64


def _fit_tree(
    parameters: Parameters, x: NDArray[np.float32], y: NDArray[np.float64], seed: int, weights: Weights
) -> Regressor:
    from sklearn.tree import DecisionTreeRegressor

    estimator = DecisionTreeRegressor(**parameters, max_leaf_nodes=MAX_LEAVES, random_state=seed)
    tree: Regressor = estimator.fit(x, y, sample_weight=weights)
    return tree


def _ensemble_of(trees: Parameters | None, name: str, **constants: Any) -> FitRegressor:
    """Return a function that fits an ensemble of ``sklearn.ensemble``, imported when it is used.

    Trees grow in all threads. Predictions stay in one: several would add the trees up in an order that varies.

    Args:
        trees: Settings of its trees; None for an ensemble that makes its own.
        name: Name of its class.
        constants: Its parameters that no search varies.
    """

    def fit(
        parameters: Parameters, x: NDArray[np.float32], y: NDArray[np.float64], seed: int, weights: Weights
    ) -> Regressor:
        from joblib import parallel_config
        from sklearn import ensemble
        from sklearn.tree import DecisionTreeRegressor

        tree = [] if trees is None else [DecisionTreeRegressor(**trees, max_leaf_nodes=MAX_LEAVES)]
        estimator = getattr(ensemble, name)(*tree, **parameters, **constants, random_state=seed)
        with parallel_config(backend="threading", n_jobs=usable_cores()):
            regressor: Regressor = estimator.fit(x, y, sample_weight=weights)
        return regressor

    return fit


def _fit_histogram_boosting(
    parameters: Parameters, x: NDArray[np.float32], y: NDArray[np.float64], seed: int, weights: Weights
) -> Regressor:
    """Boost trees on features cut into a few bins each: time grows with rows, not with their logarithm as well."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    boosting: Regressor = HistGradientBoostingRegressor(
        **parameters, max_bins=_BINS, early_stopping=False, random_state=seed
    ).fit(x, y, sample_weight=weights)
    return boosting


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


def _histogram_parameters(rate: float, leaves: int, share: float) -> Parameters:
    return {
        "learning_rate": rate,
        "max_iter": 300,
        "max_leaf_nodes": leaves,
        "min_samples_leaf": 5,
        "l2_regularization": 1.0,
        "max_features": share,
    }


def _draw_histogram_boosting(rng: np.random.Generator, n_features: int) -> Parameters:  # noqa: ARG001 - one signature for all
    return _histogram_parameters(
        log_uniform(rng, 0.02, 0.15), int(rng.choice([7, 15, 31])), float(rng.choice([0.05, 0.2, 0.5]))
    )


_FOREST_GRID: Final = fixed_grid(
    [{"n_estimators": 100, "max_features": "sqrt", "min_samples_leaf": leaf} for leaf in (1, 3)]
)

DECISION_TREE: Final = Model(
    "decision-tree",
    _fit_tree,
    fixed_grid([{"min_samples_leaf": leaf} for leaf in (5, 2, 10)]),
    lambda rng, _: {"min_samples_leaf": int(rng.integers(1, 20))},
    scaled=False,
    weighted=True,
)
RANDOM_FOREST: Final = Model(
    "random-forest",
    _ensemble_of(None, "RandomForestRegressor", max_leaf_nodes=MAX_LEAVES),
    _FOREST_GRID,
    _draw_forest,
    scaled=False,
    weighted=True,
)
EXTRA_TREES: Final = Model(
    "extra-trees",
    _ensemble_of(None, "ExtraTreesRegressor", max_leaf_nodes=MAX_LEAVES),
    # A third of the features at a split is 3 % better on attributes (docs/science/transfer.md), and costs four times
    # as much.
    lambda d: [*_FOREST_GRID(d), {"n_estimators": 100, "max_features": 0.33, "min_samples_leaf": 1}],
    _draw_forest,
    scaled=False,
    weighted=True,
)
BAGGING: Final = Model(
    "bagging",
    _ensemble_of({}, "BaggingRegressor"),
    fixed_grid([{"n_estimators": 50, "max_features": share} for share in (0.3, 1.0)]),
    lambda rng, _: {"n_estimators": 50, "max_features": float(rng.choice([0.1, 0.2, 0.3, 0.5, 0.7, 1.0]))},
    scaled=False,
    weighted=True,
)
ADABOOST: Final = Model(
    "adaboost",
    _ensemble_of({"max_features": "sqrt"}, "AdaBoostRegressor"),
    fixed_grid(
        [
            *({"n_estimators": 50, "learning_rate": 1.0, "loss": loss} for loss in ("linear", "square")),
            {"n_estimators": 100, "learning_rate": 0.2, "loss": "square"},
        ]
    ),
    _draw_adaboost,
    scaled=False,
    weighted=True,
)
GRADIENT_BOOSTING: Final = Model(
    "gradient-boosting",
    _ensemble_of(None, "GradientBoostingRegressor", subsample=0.5, max_features="sqrt"),
    fixed_grid([{"n_estimators": 300, "learning_rate": 0.05, "max_depth": depth} for depth in (6, 3)]),
    _draw_gradient_boosting,
    scaled=False,
    weighted=True,
)
HIST_GRADIENT_BOOSTING: Final = Model(
    "hist-gradient-boosting",
    _fit_histogram_boosting,
    fixed_grid([_histogram_parameters(0.05, leaves, 0.2) for leaves in (15, 31)]),
    _draw_histogram_boosting,
    scaled=False,
    weighted=True,
)
