import numpy as np
import pytest
from numpy.typing import NDArray

from matlake.regress.onnx.convert import convert, run_graph
from matlake.regress.regressors import MODELS, Fitted, fit_model
from matlake.regress.regressors.trees import MAX_LEAVES

Vectors = tuple[NDArray[np.float32], NDArray[np.float64]]

TREES = (
    "decision-tree",
    "random-forest",
    "extra-trees",
    "bagging",
    "adaboost",
    "gradient-boosting",
    "hist-gradient-boosting",
)


def fit(name: str, x: NDArray[np.float32], y: NDArray[np.float64]) -> Fitted:
    return fit_model(MODELS[name], MODELS[name].grid(x.shape[1])[0], x, y, seed=0)


@pytest.mark.parametrize("name", TREES)
def test_values_next_to_a_threshold_take_the_same_branch(name: str) -> None:
    """Features next to each other in float32 have thresholds between them that float32 cannot hold."""
    source = np.random.default_rng(0)
    steps = source.integers(0, 4, size=(400, 6))
    x = np.float32(4.0) + steps.astype(np.float32) * np.spacing(np.float32(4.0))
    y = steps @ source.normal(size=6)
    fitted = fit(name, x, y)
    assert run_graph(convert(fitted, 6), x) == pytest.approx(fitted.predict(x), abs=1e-9)
    assert np.abs(fitted.predict(x) - y).mean() < 0.9 * np.abs(y - y.mean()).mean()


@pytest.mark.parametrize("name", TREES)
def test_a_tree_that_is_one_leaf_is_written(name: str, vectors: Vectors) -> None:
    x = np.zeros((30, 3), np.float32)
    y = vectors[1][:30]
    fitted = fit(name, x, y)
    assert run_graph(convert(fitted, 3), x) == pytest.approx(fitted.predict(x), abs=1e-9)


def test_a_boosted_median_is_that_of_the_votes(vectors: Vectors) -> None:
    x, y = vectors
    fitted = fit("adaboost", x[:200], y[:200])
    content = convert(fitted, x.shape[1])
    votes = np.array([tree.predict(x) for tree in fitted.regressor.estimators_]) * fitted.std + fitted.mean
    values = run_graph(content, x)
    assert values == pytest.approx(fitted.predict(x), abs=1e-9)
    assert np.abs(votes - values).min(axis=0).max() < 1e-9
    assert np.abs(votes.mean(axis=0) - values).max() > 0.01


def test_leaves_bound_the_file_of_a_forest_of_many_rows() -> None:
    source = np.random.default_rng(0)
    x = source.normal(size=(20_000, 4)).astype(np.float32)
    parameters = {"n_estimators": 2, "max_features": 1.0, "min_samples_leaf": 1}
    fitted = fit_model(MODELS["random-forest"], parameters, x, source.normal(size=20_000), seed=0)
    assert [tree.tree_.n_leaves for tree in fitted.regressor.estimators_] == [MAX_LEAVES] * 2
    assert 50 * len(convert(fitted, 4)) < 20e6
