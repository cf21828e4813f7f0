import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from matlake.regress.onnx.convert import check_parity, convert
from matlake.regress.regressors import AUTO_MODELS, MODELS, fit_model
from matlake.regress.regressors.ensemble import choose_members, ensemble_model, ensemble_parameters

Vectors = tuple[NDArray[np.float32], NDArray[np.float64]]


def test_an_ensemble_is_the_weighted_mean_of_its_members(vectors: Vectors) -> None:
    x, y = vectors
    members = [
        (name, MODELS[name].grid(x.shape[1])[0], weight) for name, weight in (("ridge", 0.3), ("kernel-ridge", 0.7))
    ]
    parameters = ensemble_parameters(members)
    mean = fit_model(ensemble_model(parameters), parameters, x[:240], y[:240], seed=0)
    apart = [
        weight * fit_model(MODELS[name], chosen, x[:240], y[:240], 0).predict(x) for name, chosen, weight in members
    ]
    assert mean.predict(x) == pytest.approx(np.sum(apart, axis=0), rel=1e-6)


def test_members_of_every_kind_become_one_graph(vectors: Vectors) -> None:
    x, y = vectors
    share = 1.0 / len(AUTO_MODELS)
    parameters = ensemble_parameters([(name, MODELS[name].grid(x.shape[1])[0], share) for name in AUTO_MODELS])
    fitted = fit_model(ensemble_model(parameters), parameters, x[:240], y[:240], seed=0)
    assert check_parity(convert(fitted, x.shape[1]), fitted, x) <= 1e-9


def test_constants_that_members_share_are_stored_once(vectors: Vectors) -> None:
    x, y = vectors
    machines = [("svr-rbf", {**MODELS["svr-rbf"].grid(x.shape[1])[0], "C": c}, 0.5) for c in (5.0, 5.0)]
    sizes = []
    for members in (machines[:1], machines):
        parameters = ensemble_parameters(members)
        content = convert(fit_model(ensemble_model(parameters), parameters, x, y, seed=0), x.shape[1])
        sizes.append(sum(len(tensor.raw_data) for tensor in onnx.load_model_from_string(content).graph.initializer))
    assert sizes[1] < 1.01 * sizes[0]


def test_opposite_errors_are_averaged() -> None:
    y = np.array([1.0, 2.0, 3.0, 4.0])
    weights = choose_members(y, np.stack([y + 1.0, y - 1.0, y + 3.0]))
    assert weights.tolist() == [0.5, 0.5, 0.0]


def test_one_that_is_right_is_left_alone() -> None:
    y = np.array([1.0, 2.0, 3.0])
    assert choose_members(y, np.stack([y + 0.5, y])).tolist() == [0.0, 1.0]


def test_weights_are_shares() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=200)
    predictions = y + rng.normal(size=(6, 200)) * np.array([[1.0], [1.1], [1.2], [2.0], [3.0], [9.0]])
    weights = choose_members(y, predictions)
    assert weights.sum() == 1.0
    assert np.abs(weights @ predictions - y).mean() < np.abs(predictions - y).mean(axis=1).min()
    assert weights[5] == 0.0
