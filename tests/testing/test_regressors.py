"""The check of a regressor finds each manner in which one can be wrong."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from matlake.errors import HeadError, MatlakeError
from matlake.regress.regressors import MODELS, Model
from matlake.testing import check_regressor


class Line:
    """A least-squares line with its own graph."""

    def __init__(self, slopes: np.ndarray) -> None:
        self.slopes = slopes
        self.calls = 0

    def predict(self, x: np.ndarray) -> np.ndarray:
        return x @ self.slopes

    def onnx_graph(self) -> onnx.ModelProto:
        return graph([helper.make_node("MatMul", ["x", "w"], ["y"])], self.slopes)


def graph(nodes: list[onnx.NodeProto], slopes: np.ndarray, domain: str = "") -> onnx.ModelProto:
    made = helper.make_graph(
        nodes,
        "line",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["n", len(slopes)])],
        [helper.make_tensor_value_info("y", TensorProto.DOUBLE, ["n", 1])],
        [numpy_helper.from_array(slopes[:, None], "w")],
    )
    opsets = [helper.make_opsetid("", 20), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(made, opset_imports=opsets, ir_version=10)


def fit_line(parameters: dict[str, Any], x: np.ndarray, y: np.ndarray, seed: int, weights: Any) -> Line:  # noqa: ARG001 - the signature
    root = np.ones(len(y)) if weights is None else np.sqrt(weights)
    return Line(np.linalg.lstsq(root[:, None] * x, root * y, rcond=None)[0])


GOOD = Model("line", fit_line, lambda _: [{}], lambda _random, _: {}, weighted=True)


def of_class(**methods: Any) -> Model:
    """Return the good model with other methods of what it fits."""
    kind = type("Other", (Line,), methods)
    return replace(GOOD, fit=lambda *given: kind(fit_line(*given).slopes))


def test_a_sound_model_passes_and_so_do_those_of_matlake() -> None:
    check_regressor(GOOD)
    check_regressor(MODELS["svr"])


def unsteady(_parameters: Any, x: np.ndarray, y: np.ndarray, _seed: int, weights: Any) -> Line:
    line = fit_line({}, x, y, 0, weights)
    line.slopes = line.slopes + 1e-9 * np.random.default_rng().normal(size=len(line.slopes))
    return line


def careless(_parameters: Any, x: np.ndarray, y: np.ndarray, seed: int, weights: Any) -> Line:
    x *= 2.0
    return fit_line({}, x, y, seed, weights)


def weightless(_parameters: Any, x: np.ndarray, y: np.ndarray, seed: int, _weights: Any) -> Line:
    return fit_line({}, x, y, seed, None)


def doubly_weighted(_parameters: Any, x: np.ndarray, y: np.ndarray, seed: int, weights: Any) -> Line:
    line = fit_line({}, x, y, seed, weights)
    line.slopes = line.slopes * (1.0 if weights is None else 1.01)
    return line


def of_a_batch(self: Line, x: np.ndarray) -> np.ndarray:
    return (x - x.mean(axis=0)) @ self.slopes


def own_operator(self: Line) -> onnx.ModelProto:
    return graph([helper.make_node("Mine", ["x", "w"], ["y"], domain="mine")], self.slopes, "mine")


def control_flow(self: Line) -> onnx.ModelProto:
    return graph([helper.make_node("Einsum", ["x", "w"], ["y"], equation="nd,do->no")], self.slopes)


def shifted(self: Line) -> onnx.ModelProto:
    return graph([helper.make_node("MatMul", ["x", "w"], ["y"])], 1.01 * self.slopes)


def draw_globally(_random: Any, _: int) -> dict[str, Any]:
    return {"x": float(np.random.default_rng().random())}


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (replace(GOOD, name="My Model"), "its name 'My Model' is not of lower-case letters"),
        (replace(GOOD, grid=lambda _: []), "its grid has no parameter set"),
        (replace(GOOD, draw=draw_globally), "two draws with equal generators differ"),
        (replace(GOOD, fit=unsteady), "two fits to the same rows with the same seed predict differently"),
        (replace(GOOD, fit=careless), "it changes features"),
        (replace(GOOD, fit=weightless), "it is marked as weighted, and weights change nothing"),
        (replace(GOOD, fit=doubly_weighted), "weights of one change its predictions"),
        (of_class(predict=of_a_batch), "a row alone gets another prediction"),
        (of_class(predict=lambda _, x: np.full(len(x), np.nan)), "predicts what is not a number"),
        (of_class(predict=lambda self, x: (x @ self.slopes)[:, None]), r"it predicts an array \(40, 1\) for 40 rows"),
        (of_class(onnx_graph=own_operator), "mine::?Mine"),
        (of_class(onnx_graph=control_flow), "it uses the operator Einsum"),
        (of_class(onnx_graph=shifted), "the ONNX head differs from the fitted model"),
        (replace(GOOD, fit=lambda *given: Plain(fit_line(*given))), "Plain cannot be converted to ONNX"),
    ],
)
def test_each_fault_is_found(model: Model, reason: str) -> None:
    with pytest.raises((AssertionError, MatlakeError), match=reason):
        check_regressor(model)


class Plain:
    """A regressor that nobody can convert."""

    def __init__(self, line: Line) -> None:
        self.line = line

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.line.predict(x)


def test_a_graph_of_two_outputs_is_refused() -> None:
    def two(self: Line) -> onnx.ModelProto:
        model = Line.onnx_graph(self)
        model.graph.output.append(model.graph.output[0])
        return model

    with pytest.raises(HeadError, match="must have one input and one output"):
        check_regressor(of_class(onnx_graph=two))


def test_what_is_no_model_is_named() -> None:
    wrong: Callable[..., Any] = fit_line
    with pytest.raises(AssertionError, match=r"it is of type function, not matlake\.regress\.regressors\.Model"):
        check_regressor(wrong)  # type: ignore[arg-type]
