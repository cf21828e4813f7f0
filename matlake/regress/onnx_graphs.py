"""ONNX graphs written by hand for the models whose usual conversion is too slow or too inexact.

ONNX Runtime's SVMRegressor sums kernels one by one in float32: 7e-4 of a standard deviation off with 3,000 support
vectors of 1,024 features. The usual nearest-neighbour graph loops over rows: 10 ms each. Both are matrix products,
done here in float64, because squared distances from |a|² + |b|² - 2ab lose half of float32's digits. So are linear
models, whose coefficients may be large and opposite on collinear embeddings.
"""

from typing import Any, Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET: Final = 20
IR_VERSION: Final = 10
INPUT: Final = "features"
LINEAR_KINDS: Final = frozenset({"Ridge", "LinearRegression", "Lasso", "ElasticNet"})


def linear_graph(scaler: Any, linear: Any) -> onnx.ModelProto:
    """Return a fitted StandardScaler and linear model as a graph: one matrix product in float64.

    Args:
        scaler: ``sklearn.preprocessing.StandardScaler``.
        linear: One of scikit-learn's ``LINEAR_KINDS``.

    Returns:
        Input ``features`` float32 [n, d], one output float64 [n, 1].
    """
    constants = {
        "mean": scaler.mean_.astype(np.float64),
        "weights": (linear.coef_.reshape(-1) / scaler.scale_).astype(np.float64).reshape(-1, 1),
        "intercept": np.array([float(linear.intercept_)]),
    }
    nodes = [
        helper.make_node("Cast", [INPUT], ["wide"], to=TensorProto.DOUBLE),
        helper.make_node("Sub", ["wide", "mean"], ["centred"]),
        helper.make_node("MatMul", ["centred", "weights"], ["weighted"]),
        helper.make_node("Add", ["weighted", "intercept"], ["scaled"]),
    ]
    return _model(nodes, constants, len(scaler.mean_))


def svr_graph(scaler: Any, svr: Any) -> onnx.ModelProto:
    """Return a fitted StandardScaler and RBF SVR as a graph: the sum of aᵢ·exp(-gamma·|x - sᵢ|²), plus b.

    Args:
        scaler: ``sklearn.preprocessing.StandardScaler``.
        svr: ``sklearn.svm.SVR`` with the RBF kernel and a numeric gamma.

    Returns:
        Input ``features`` float32 [n, d], one output float64 [n, 1].
    """
    support = svr.support_vectors_
    nodes, constants = _squared_distances(scaler, support)
    constants |= {
        "minus_gamma": np.array(-float(svr.gamma)),
        "weights": svr.dual_coef_.reshape(-1, 1).astype(np.float64),
        "intercept": svr.intercept_.astype(np.float64),
    }
    nodes += [
        helper.make_node("Mul", ["squared_distances", "minus_gamma"], ["exponents"]),
        helper.make_node("Exp", ["exponents"], ["kernel"]),
        helper.make_node("MatMul", ["kernel", "weights"], ["weighted"]),
        helper.make_node("Add", ["weighted", "intercept"], ["scaled"]),
    ]
    return _model(nodes, constants, support.shape[1])


def knn_graph(scaler: Any, knn: Any) -> onnx.ModelProto:
    """Return a fitted StandardScaler and nearest-neighbour regressor with equal weights as a graph.

    Args:
        scaler: ``sklearn.preprocessing.StandardScaler``.
        knn: ``sklearn.neighbors.KNeighborsRegressor`` with the Euclidean metric and uniform weights.

    Returns:
        Input ``features`` float32 [n, d], one output float64 [n, 1].
    """
    known = knn._fit_X  # noqa: SLF001 - where scikit-learn (and skl2onnx) keeps the rows
    nodes, constants = _squared_distances(scaler, known)
    constants |= {
        "neighbours": np.array([knn.n_neighbors], dtype=np.int64),
        "targets": knn._y.reshape(-1).astype(np.float64),  # noqa: SLF001 - likewise
        "last_axis": np.array([1], dtype=np.int64),
    }
    nodes += [
        helper.make_node(
            "TopK", ["squared_distances", "neighbours"], ["nearest_squared", "nearest"], axis=1, largest=0
        ),
        helper.make_node("Gather", ["targets", "nearest"], ["their_targets"]),
        helper.make_node("ReduceMean", ["their_targets", "last_axis"], ["scaled"], keepdims=1),
    ]
    return _model(nodes, constants, known.shape[1])


def _squared_distances(scaler: Any, points: NDArray[Any]) -> tuple[list[onnx.NodeProto], dict[str, NDArray[Any]]]:
    """Squared distances [n, m] of standardised rows to m points, which are kept as float32 as they were fitted."""
    points = points.astype(np.float32)
    wide = points.astype(np.float64)
    constants: dict[str, NDArray[Any]] = {
        "mean": scaler.mean_.astype(np.float64),
        "scale": scaler.scale_.astype(np.float64),
        "points": np.ascontiguousarray(points.T),
        "point_norms": np.sum(wide * wide, axis=1, keepdims=True).T,
        "two": np.array(2.0),
        "zero": np.array(0.0),
        "columns": np.array([1], dtype=np.int64),
    }
    nodes = [
        helper.make_node("Cast", [INPUT], ["wide"], to=TensorProto.DOUBLE),
        helper.make_node("Sub", ["wide", "mean"], ["centred"]),
        helper.make_node("Div", ["centred", "scale"], ["standard"]),
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


def _model(nodes: list[onnx.NodeProto], constants: dict[str, NDArray[Any]], n_features: int) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "head",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", n_features])],
        [helper.make_tensor_value_info("scaled", TensorProto.DOUBLE, ["n", 1])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
