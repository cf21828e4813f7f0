"""From a fitted model to one ONNX graph that predicts in the target's unit."""

from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from matlake.encoders.session import onnx_runtime
from matlake.errors import HeadError
from matlake.regress.onnx.ensemble import ensemble_graph
from matlake.regress.onnx.graphs import (
    ACTIVATIONS,
    INPUT,
    LINEAR_KINDS,
    deep_graph,
    kernel_graph,
    linear_graph,
    neighbours_graph,
    network_graph,
)
from matlake.regress.onnx.ir_net import residual_graph
from matlake.regress.onnx.skl2onnx import convert_other
from matlake.regress.onnx.trees import TREE_GRAPHS, tree_graph
from matlake.regress.regressors import MODELS, Fitted
from matlake.regress.regressors.elemnet_numpy import ReluNetwork
from matlake.regress.regressors.ensemble import WeightedMean
from matlake.regress.regressors.ir_net_numpy import ResidualNetwork
from matlake.regress.regressors.kernels import KernelExpansion
from matlake.regress.regressors.neighbours import Neighbours
from matlake.regress.regressors.scaling import Scaler

OUTPUT: Final = "value"
PARITY_TOLERANCE: Final = 1e-4
"""Largest error allowed against the fitted model, relative to the target's standard deviation."""


def convert(fitted: Fitted, n_features: int) -> bytes:
    """Convert a fitted model and fold the target's scaling in.

    Args:
        fitted: Scaler and regressor, fitted to a standardised target.
        n_features: Number of columns.

    Returns:
        An ONNX file with the input ``features`` float32 [n, d] and the output ``value`` float64 [n]. The last step is
        done in float64, so that a target with a large mean and a small spread keeps its digits.

    Raises:
        HeadError: There is no conversion for this regressor.
    """
    model = _graph(fitted.regressor, fitted.scaler, n_features)
    _fold_scaling(model, fitted.mean, fitted.std)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


def check_parity(content: bytes, fitted: Fitted, x: NDArray[np.float32]) -> float:
    """Compare a converted head with what it was converted from.

    Args:
        content: The ONNX file.
        fitted: What it was converted from.
        x: float32 [n, d], real rows.

    Returns:
        The largest error, relative to the target's standard deviation.

    Raises:
        HeadError: It is above ``PARITY_TOLERANCE``.
    """
    error = float(np.max(np.abs(run_graph(content, x) - fitted.predict(x)))) / fitted.std
    if not error <= PARITY_TOLERANCE:
        raise HeadError(
            f"the ONNX head differs from the fitted model by {error:.1e} of the target's standard deviation, "
            f"more than {PARITY_TOLERANCE:.0e}",
            f"train another model: {', '.join(MODELS)}",
        )
    return error


def run_graph(content: bytes, x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Run a head that has just been converted.

    Args:
        content: The ONNX file.
        x: float32 [n, d].

    Returns:
        float64 [n], in the target's unit.
    """
    session = onnx_runtime().InferenceSession(content, providers=["CPUExecutionProvider"])
    (values,) = session.run([OUTPUT], {INPUT: x})
    return np.asarray(values, dtype=np.float64)


def _graph(regressor: Any, scaler: Scaler | None, n_features: int) -> onnx.ModelProto:
    if isinstance(regressor, WeightedMean):
        return _mean_graph(regressor, n_features)
    if type(regressor).__name__ in TREE_GRAPHS and scaler is None:
        return tree_graph(regressor, n_features)
    if isinstance(regressor, ReluNetwork):
        return deep_graph(scaler, regressor.layers)
    if isinstance(regressor, ResidualNetwork):
        return residual_graph(scaler, regressor)
    own = _scaled_graph(regressor, scaler) if scaler else None
    return own or convert_other(regressor, scaler, n_features)


def _mean_graph(mean: WeightedMean, n_features: int) -> onnx.ModelProto:
    graphs = [_graph(member.regressor, member.scaler, n_features) for member in mean.members]
    spreads, centres = (np.array([getattr(m, name) for m in mean.members]) for name in ("std", "mean"))
    return ensemble_graph(graphs, mean.weights * spreads, float(mean.weights @ centres), n_features)


def _scaled_graph(regressor: Any, scaler: Scaler) -> onnx.ModelProto | None:
    """Return the graph of a regressor of standardised features; None where it has none of its own."""
    kind = type(regressor).__name__
    if isinstance(regressor, KernelExpansion):
        return kernel_graph(scaler, regressor)
    if isinstance(regressor, Neighbours):
        return neighbours_graph(scaler, regressor)
    if kind in LINEAR_KINDS:
        return linear_graph(scaler, regressor.coef_, float(np.asarray(regressor.intercept_).item()))
    if kind == "MLPRegressor" and regressor.activation in ACTIVATIONS:
        layers = list(zip(regressor.coefs_, regressor.intercepts_, strict=True))
        return network_graph(scaler, layers, regressor.activation)
    return None


def _fold_scaling(model: onnx.ModelProto, mean: float, std: float) -> None:
    """Append ``value = flatten(output) * std + mean`` in float64 and make it the only output."""
    graph = model.graph
    raw = graph.output[0].name
    graph.node.extend(
        [
            helper.make_node("Reshape", [raw, "head_flat_shape"], ["head_flat"]),
            helper.make_node("Cast", ["head_flat"], ["head_wide"], to=TensorProto.DOUBLE),
            helper.make_node("Mul", ["head_wide", "head_std"], ["head_spread"]),
            helper.make_node("Add", ["head_spread", "head_mean"], [OUTPUT]),
        ]
    )
    graph.initializer.extend(
        [
            numpy_helper.from_array(np.array([-1], dtype=np.int64), "head_flat_shape"),
            numpy_helper.from_array(np.array(std), "head_std"),
            numpy_helper.from_array(np.array(mean), "head_mean"),
        ]
    )
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.DOUBLE, ["n"]))
