from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from quick_models import QUICK
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import HuberRegressor
from sklearn.neighbors import KNeighborsRegressor

from matlake.encoders.session import audit
from matlake.errors import HeadError
from matlake.regress.onnx.convert import check_parity, convert, run_graph
from matlake.regress.regressors import MODELS, Fitted, fit_model
from matlake.regress.regressors.ensemble import WeightedMean
from matlake.regress.regressors.scaling import fit_scaler
from matlake.regress.uncertainty.projection import fit_projection

Vectors = tuple[NDArray[np.float32], NDArray[np.float64]]


@pytest.fixture(scope="module")
def heads(vectors: Vectors) -> dict[str, tuple[Fitted, bytes]]:
    """Every model with its default parameters, fitted to 240 rows, and its ONNX file."""
    x, y = vectors
    fitted = {
        name: fit_model(model, model.grid(x.shape[1])[0], x[:240], y[:240], seed=0) for name, model in QUICK.items()
    }
    return {name: (found, convert(found, x.shape[1])) for name, found in fitted.items()}


@pytest.mark.parametrize("name", QUICK)
def test_every_model_survives_the_conversion(
    name: str, heads: dict[str, tuple[Fitted, bytes]], vectors: Vectors
) -> None:
    fitted, content = heads[name]
    x = vectors[0]
    assert check_parity(content, fitted, x) <= 1e-9
    audit(content, Path("head.onnx"), HeadError)
    graph = onnx.load_model_from_string(content).graph
    assert [(value.name, value.type.tensor_type.elem_type) for value in graph.input] == [("features", 1)]
    assert [value.name for value in graph.output] == ["value"]
    one_by_one = [run_graph(content, x[row : row + 1])[0] for row in range(5)]
    assert one_by_one == pytest.approx(run_graph(content, x[:5]), rel=1e-9)


@pytest.mark.parametrize("name", QUICK)
def test_one_seed_gives_the_same_bytes_again(
    name: str, heads: dict[str, tuple[Fitted, bytes]], vectors: Vectors
) -> None:
    (x, y), model = vectors, MODELS[name]
    again = convert(fit_model(model, model.grid(x.shape[1])[0], x[:240], y[:240], seed=0), x.shape[1])
    assert again == heads[name][1]


def test_another_seed_gives_another_forest(heads: dict[str, tuple[Fitted, bytes]], vectors: Vectors) -> None:
    (x, y), model = vectors, MODELS["random-forest"]
    other = convert(fit_model(model, model.grid(x.shape[1])[0], x[:240], y[:240], seed=1), x.shape[1])
    assert other != heads["random-forest"][1]


def test_a_large_mean_costs_no_digits(vectors: Vectors) -> None:
    x, y = vectors
    for name in ("ridge", "extra-trees", "svr"):
        fitted = fit_model(MODELS[name], MODELS[name].grid(x.shape[1])[0], x, y + 1e7, seed=0)
        assert check_parity(convert(fitted, x.shape[1]), fitted, x) <= 1e-6


def test_other_estimators_are_converted_after_the_scaler(vectors: Vectors) -> None:
    x, y = vectors
    scaler = fit_scaler(x)
    z = scaler.transform(x)
    fitted = Fitted(scaler, HuberRegressor(alpha=10.0, max_iter=1000).fit(z, y), 0.0, 1.0)
    assert check_parity(convert(fitted, x.shape[1]), fitted, x) <= 1e-4


def test_a_model_without_conversion_is_refused_with_those_that_have_one(vectors: Vectors) -> None:
    x, y = vectors
    fitted = Fitted(None, DummyRegressor().fit(x, y), 0.0, 1.0)
    with pytest.raises(HeadError, match="DummyRegressor cannot be converted to ONNX") as caught:
        convert(fitted, x.shape[1])
    assert all(name in caught.value.hint for name in MODELS)


def test_a_wrong_conversion_is_refused(vectors: Vectors) -> None:
    """skl2onnx writes neighbours weighted by distance without a word, and wrongly."""
    x, y = vectors
    scaler = fit_scaler(x[:240])
    z = scaler.transform(x[:240])
    fitted = Fitted(scaler, KNeighborsRegressor(5, weights="distance").fit(z, y[:240]), 0.0, 1.0)
    with pytest.raises(HeadError, match="differs from the fitted model") as caught:
        check_parity(convert(fitted, x.shape[1]), fitted, x[240:])
    assert all(name in caught.value.hint for name in MODELS)


def test_the_second_output_is_where_a_material_lies_among_the_training_rows(vectors: Vectors) -> None:
    x, y = vectors
    fitted = fit_model(MODELS["ridge"], {"alpha": 1.0}, x, y, seed=0)
    projection = fit_projection(x, seed=0)
    content = convert(fitted, x.shape[1], projection)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    values, coordinates = session.run(["value", "coordinates"], {"features": x})
    assert values.tolist() == run_graph(convert(fitted, x.shape[1]), x).tolist()
    assert coordinates.dtype == np.float32
    assert coordinates == pytest.approx(projection.apply(x), abs=1e-4)


def test_what_several_members_hold_is_written_once(vectors: Vectors) -> None:
    x, y = vectors
    member = fit_model(MODELS["knn"], {"n_neighbors": 3}, x, y, seed=0)
    mean = WeightedMean((member, member), np.array([0.5, 0.5]))
    alone, together = (len(convert(fitted, x.shape[1])) for fitted in (member, Fitted(None, mean, 0.0, 1.0)))
    assert together < alone + 10_000
