from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from sklearn.kernel_ridge import KernelRidge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from matlake.encoders.session import audit
from matlake.errors import HeadError
from matlake.regress.models import MODELS, Fitted, fit_model
from matlake.regress.onnx_head import check_parity, convert, run_graph

Vectors = tuple[NDArray[np.float32], NDArray[np.float64]]


@pytest.mark.parametrize("name", MODELS)
def test_every_model_equals_scikit_learn_on_real_rows(name: str, vectors: Vectors) -> None:
    x, y = vectors
    model = MODELS[name]
    fitted = fit_model(model, model.grid(x.shape[1])[0], x[:240], y[:240], seed=0)
    content = convert(fitted, x.shape[1])
    assert check_parity(content, fitted, x) <= 1e-4
    audit(content, Path("head.onnx"), HeadError)
    graph = onnx.load_model_from_string(content).graph
    assert [(value.name, value.type.tensor_type.elem_type) for value in graph.input] == [("features", 1)]
    assert [value.name for value in graph.output] == ["value"]
    one_by_one = [run_graph(content, x[row : row + 1])[0] for row in range(5)]
    assert one_by_one == pytest.approx(run_graph(content, x[:5]), rel=1e-6)


def test_a_large_mean_costs_no_digits(vectors: Vectors) -> None:
    x, y = vectors
    for name in ("ridge", "extra-trees"):
        fitted = fit_model(MODELS[name], MODELS[name].grid(x.shape[1])[0], x, y + 1e7, seed=0)
        assert check_parity(convert(fitted, x.shape[1]), fitted, x) <= 1e-4


def test_a_model_without_conversion_is_refused_with_those_that_have_one(vectors: Vectors) -> None:
    x, y = vectors
    fitted = Fitted(make_pipeline(StandardScaler(), KernelRidge()).fit(x, y), 0.0, 1.0, wide=False)
    with pytest.raises(HeadError, match="KernelRidge cannot be converted to ONNX") as caught:
        convert(fitted, x.shape[1])
    assert all(name in caught.value.hint for name in MODELS)


def test_a_wrong_conversion_is_refused(vectors: Vectors) -> None:
    """skl2onnx writes neighbours weighted by distance without a word, and wrongly."""
    x, y = vectors
    neighbours = KNeighborsRegressor(5, weights="distance")
    fitted = Fitted(make_pipeline(StandardScaler(), neighbours).fit(x[:240], y[:240]), 0.0, 1.0, wide=False)
    with pytest.raises(HeadError, match="differs from scikit-learn"):
        check_parity(convert(fitted, x.shape[1]), fitted, x[240:])
