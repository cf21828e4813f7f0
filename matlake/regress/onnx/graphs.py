"""ONNX graphs of everything but trees, written by hand and computed in float64, but for deep networks.

Usual conversions compute in float32. ONNX Runtime's SVMRegressor then errs by 7e-4 of a standard deviation with 3,000
support vectors of 1,024 features; squared distances from |a|² + |b|² - 2ab lose half of float32's digits; and linear
models leave none of them where coefficients are large and opposite, as collinear embeddings make them.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from matlake.regress.regressors.elemnet_numpy import Layers
from matlake.regress.regressors.kernels import KernelExpansion
from matlake.regress.regressors.neighbours import Neighbours
from matlake.regress.regressors.scaling import LIMIT, Scaler

OPSET: Final = 20
ML_OPSET: Final = 5
IR_VERSION: Final = 10
INPUT: Final = "features"
SCALED: Final = "scaled"
"""Output of these graphs: the standardised target."""

LINEAR_KINDS: Final = frozenset({"Ridge", "LinearRegression", "Lasso", "ElasticNet", "SGDRegressor"})
ACTIVATIONS: Final = {"relu": "Relu", "tanh": "Tanh", "logistic": "Sigmoid"}

Constants = dict[str, NDArray[Any]]
Part = tuple[list[onnx.NodeProto], Constants]


def linear_graph(scaler: Scaler, slopes: NDArray[Any], intercept: float) -> onnx.ModelProto:
    """Return a scaler and a linear model as a graph: one matrix product.

    Args:
        scaler: Of the features.
        slopes: [d], for standardised features.
        intercept: Added to the product.

    Returns:
        Input ``features`` float32 [n, d], one output float64 [n, 1].
    """
    nodes, constants = standardise(scaler)
    constants |= {
        "weights": np.asarray(slopes, dtype=np.float64).reshape(-1, 1),
        "intercept": np.array([float(intercept)]),
    }
    nodes += [
        helper.make_node("MatMul", ["standard", "weights"], ["weighted"]),
        helper.make_node("Add", ["weighted", "intercept"], [SCALED]),
    ]
    return assemble(nodes, constants, len(scaler.mean))


def kernel_graph(scaler: Scaler, machine: KernelExpansion) -> onnx.ModelProto:
    """Return a scaler and a kernel machine as a graph: Σᵢ wᵢ·exp(-gamma·|x - pᵢ|²) + x·v + b.

    Args:
        scaler: Of the features.
        machine: What it became by fitting.

    Returns:
        Input ``features`` float32 [n, d], one output float64 [n, 1].
    """
    if not len(machine.points):
        return linear_graph(scaler, machine.slopes, machine.intercept)
    nodes, constants = _squared_distances(scaler, machine.points)
    constants |= {
        "minus_gamma": np.array(-machine.gamma),
        "weights": machine.weights.reshape(-1, 1),
        "slopes": machine.slopes.reshape(-1, 1),
        "intercept": np.array([machine.intercept]),
    }
    nodes += [
        helper.make_node("Mul", ["squared_distances", "minus_gamma"], ["exponents"]),
        helper.make_node("Exp", ["exponents"], ["kernel"]),
        helper.make_node("MatMul", ["kernel", "weights"], ["weighted"]),
        helper.make_node("MatMul", ["standard", "slopes"], ["plane"]),
        helper.make_node("Add", ["weighted", "plane"], ["together"]),
        helper.make_node("Add", ["together", "intercept"], [SCALED]),
    ]
    return assemble(nodes, constants, len(scaler.mean))


def neighbours_graph(scaler: Scaler, neighbours: Neighbours) -> onnx.ModelProto:
    """Return a scaler and nearest neighbours as a graph.

    Args:
        scaler: Of the features.
        neighbours: The fitted regressor.

    Returns:
        Input ``features`` float32 [n, d], one output float64 [n, 1].
    """
    nodes, constants = _squared_distances(scaler, neighbours.points)
    constants |= {
        "count": np.array([neighbours.count], dtype=np.int64),
        "targets": neighbours.targets,
        "last_axis": np.array([1], dtype=np.int64),
    }
    nodes += [
        helper.make_node("TopK", ["squared_distances", "count"], ["nearest_squared", "nearest"], axis=1, largest=0),
        helper.make_node("Gather", ["targets", "nearest"], ["their_targets"]),
        helper.make_node("ReduceMean", ["their_targets", "last_axis"], [SCALED], keepdims=1),
    ]
    return assemble(nodes, constants, len(scaler.mean))


def network_graph(
    scaler: Scaler, layers: Sequence[tuple[NDArray[Any], NDArray[Any]]], activation: str
) -> onnx.ModelProto:
    """Return a scaler and a multilayer perceptron as a graph.

    Args:
        scaler: Of the features.
        layers: Weights [inputs, outputs] and biases [outputs] of each layer.
        activation: One of ``ACTIVATIONS``, after all layers but the last.

    Returns:
        Input ``features`` float32 [n, d], one output float64 [n, 1].
    """
    nodes, constants = standardise(scaler)
    inner = "standard"
    for number, (weights, biases) in enumerate(layers, start=1):
        constants |= {f"weights_{number}": weights.astype(np.float64), f"biases_{number}": biases.astype(np.float64)}
        last = number == len(layers)
        nodes += [
            helper.make_node("MatMul", [inner, f"weights_{number}"], [f"product_{number}"]),
            helper.make_node("Add", [f"product_{number}", f"biases_{number}"], [SCALED if last else f"sum_{number}"]),
        ]
        if not last:
            inner = f"layer_{number}"
            nodes.append(helper.make_node(ACTIVATIONS[activation], [f"sum_{number}"], [inner]))
    return assemble(nodes, constants, len(scaler.mean))


def deep_graph(scaler: Scaler | None, layers: Layers) -> onnx.ModelProto:
    """Return a ReLU network as a graph in float32, in which it was trained: weights in float64 would be 37 MB.

    Args:
        scaler: Of the features, computed in float64; None where they are taken as they are.
        layers: Of the network.

    Returns:
        Input ``features`` float32 [n, d], one output float64 [n, 1].
    """
    nodes, constants = standardise(scaler) if scaler else ([], {})
    inner = "narrow" if scaler else INPUT
    if scaler:
        nodes.append(helper.make_node("Cast", ["standard"], [inner], to=TensorProto.FLOAT))
    for number, (weights, biases) in enumerate(layers, start=1):
        constants |= {f"weights_{number}": weights, f"biases_{number}": biases}
        nodes.append(helper.make_node("Gemm", [inner, f"weights_{number}", f"biases_{number}"], [f"sum_{number}"]))
        if number < len(layers):
            inner = f"layer_{number}"
            nodes.append(helper.make_node("Relu", [f"sum_{number}"], [inner]))
    nodes.append(helper.make_node("Cast", [f"sum_{len(layers)}"], [SCALED], to=TensorProto.DOUBLE))
    return assemble(nodes, constants, len(layers[0][0]))


def standardise(scaler: Scaler) -> Part:
    """Return the nodes from ``features`` to ``standard``, float64 [n, d]."""
    nodes = [
        helper.make_node("Cast", [INPUT], ["wide"], to=TensorProto.DOUBLE),
        helper.make_node("Sub", ["wide", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["unlimited"]),
        helper.make_node("Clip", ["unlimited", "minus_limit", "limit"], ["standard"]),
    ]
    limit = np.array(LIMIT)
    return nodes, {"mean": scaler.mean, "scale": scaler.scale, "limit": limit, "minus_limit": -limit}


def assemble(
    nodes: Sequence[onnx.NodeProto], constants: Mapping[str, NDArray[Any]], n_features: int
) -> onnx.ModelProto:
    """Return a model from ``features`` float32 [n, d] to ``scaled`` float64 [n, 1]."""
    graph = helper.make_graph(
        nodes,
        "head",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", n_features])],
        [helper.make_tensor_value_info(SCALED, TensorProto.DOUBLE, ["n", 1])],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items()],
    )
    domains = {"", *(node.domain for node in nodes)}
    versions = [helper.make_opsetid(name, ML_OPSET if name else OPSET) for name in sorted(domains)]
    return helper.make_model(graph, opset_imports=versions, ir_version=IR_VERSION)


def _squared_distances(scaler: Scaler, points: NDArray[np.float32]) -> Part:
    """Return the nodes to squared distances [n, m] of standardised rows to m points, which are kept as float32."""
    nodes, constants = standardise(scaler)
    wide = points.astype(np.float64)
    constants |= {
        "points": points.T,
        "point_norms": np.sum(wide * wide, axis=1, keepdims=True).T,
        "two": np.array(2.0),
        "zero": np.array(0.0),
        "columns": np.array([1], dtype=np.int64),
    }
    nodes += [
        helper.make_node("Cast", ["points"], ["wide_points"], to=TensorProto.DOUBLE),
        helper.make_node("MatMul", ["standard", "wide_points"], ["products"]),
        helper.make_node("Mul", ["products", "two"], ["twice"]),
        helper.make_node("Mul", ["standard", "standard"], ["squares"]),
        helper.make_node("ReduceSum", ["squares", "columns"], ["norms"], keepdims=1),
        helper.make_node("Add", ["norms", "point_norms"], ["both_norms"]),
        helper.make_node("Sub", ["both_norms", "twice"], ["differences"]),
        helper.make_node("Max", ["differences", "zero"], ["squared_distances"]),
    ]
    return nodes, constants
