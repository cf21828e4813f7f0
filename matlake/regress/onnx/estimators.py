"""ONNX graphs of scikit-learn's estimators: own graphs in float64 where there is one, else those of skl2onnx.

A pipeline is converted step by step, so that its last step gets a graph of its own too. skl2onnx writes some estimators
wrongly without a word, so that what it makes has to pass ``check_parity``.
"""

import contextlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import spox.opset.ai.onnx.v20 as op
from numpy.typing import NDArray
from onnx import helper
from spox import Var, inline

from matlake.encoders.audit import audit
from matlake.encoders.session import onnx_runtime
from matlake.errors import HeadError
from matlake.regress.onnx.graphs import (
    ACTIVATIONS,
    INPUT,
    OPSET,
    kernel_machine,
    linear,
    nearest_neighbours,
    perceptron,
)
from matlake.regress.onnx.trees import TREE_GRAPHS
from matlake.regress.regressors import MODELS
from matlake.regress.regressors.kernels import Kernel, expand
from matlake.regress.regressors.neighbours import Neighbours
from matlake.regress.regressors.regressor import OwnGraph
from matlake.text_tables import in_a_line

SILENT: Final = 4
"""Of ONNX Runtime's log levels: what it cannot run is reported by our own error."""

_TELL_THE_AUTHORS: Final = "tell the authors of the plug-in: matlake.testing.check_regressor shows it"
_SHOWN: Final = 300  # characters of what other packages say
_ML_OPSET: Final = 3
_IDENTITY: Final = "passthrough"
_OF_BINS: Final = "HistGradientBoostingRegressor"
_LINEAR: Final = frozenset({
    "ARDRegression", "BayesianRidge", "ElasticNet", "ElasticNetCV", "HuberRegressor", "Lars", "Lasso", "LassoCV",
    "LassoLars", "LassoLarsCV", "LinearRegression", "LinearSVR", "OrthogonalMatchingPursuit", "Ridge", "RidgeCV",
    "SGDRegressor", "TheilSenRegressor",
})  # fmt: skip


def estimator_graph(estimator: Any, x: Var, n_features: int) -> Var:
    """Return the prediction of a fitted regressor.

    Args:
        estimator: Of scikit-learn's, or one that skl2onnx converts.
        x: What it was fitted to, float32 or float64 [n, d].
        n_features: d.

    Returns:
        float64 [n, 1].

    Raises:
        HeadError: There is no conversion for it.
    """
    estimator, x, n_features = last_step(estimator, x, n_features)
    if isinstance(estimator, OwnGraph):
        return brought_graph(estimator, x)
    found = _own_graph(estimator, x, n_features)
    if found is None:
        found = op.cast(by_skl2onnx(estimator, x, n_features)[0], to=np.float64)
    return op.reshape(found, op.const([-1, 1]))


def last_step(estimator: Any, x: Var, n_features: int) -> tuple[Any, Var, int]:
    """Return the last step of a pipeline, and what the steps before it make of its input."""
    if type(estimator).__name__ != "Pipeline":
        return estimator, x, n_features
    steps = [step for _, step in estimator.steps if step is not None and step != _IDENTITY]
    for step, following in pairwise(steps):
        x, n_features = _transformed(step, x, n_features), following.n_features_in_
    return last_step(steps[-1], x, n_features)


def _transformed(transformer: Any, x: Var, n_features: int) -> Var:
    """Return what a transformer, or a pipeline of some, makes of features."""
    step, x, n_features = last_step(transformer, x, n_features)
    return op.cast(by_skl2onnx(step, x, n_features)[0], to=np.float64)


def _own_graph(estimator: Any, x: Var, n_features: int) -> Var | None:
    """Return the prediction float64 [n, 1] of an estimator that has a graph here; None for any other."""
    kind = type(estimator).__name__
    if kind in TREE_GRAPHS:
        compared = x if kind == _OF_BINS else op.cast(x, to=np.float32)  # trees compare float32, bins float64
        with contextlib.suppress(AttributeError):  # an ensemble of other things than trees
            return TREE_GRAPHS[kind](wide(compared), estimator)
    elif kind in _LINEAR:
        return linear(wide(x), estimator.coef_, np.asarray(estimator.intercept_).item())
    elif kind == "MLPRegressor" and estimator.activation in ACTIVATIONS:
        layers = list(zip(estimator.coefs_, estimator.intercepts_, strict=True))
        return perceptron(wide(x), layers, estimator.activation)
    elif kind in _COMBINED:
        return _COMBINED[kind](estimator, x, n_features)
    elif kind in _OF_POINTS:
        return _OF_POINTS[kind](wide(x), estimator)
    return None


def support_vectors(z: Var, svr: Any) -> Var | None:
    """Return what a support vector machine decides, float64 [n, 1]; None for a kernel that has no graph here."""
    if svr.kernel not in _KERNELS:
        return None
    gamma = svr._gamma  # noqa: SLF001 - the number that 'scale' and 'auto' stand for is kept nowhere else
    kernel = _KERNELS[svr.kernel](gamma)
    weights = np.ravel(svr.dual_coef_).astype(np.float64)
    return kernel_machine(z, expand(kernel, svr.support_vectors_, weights, float(svr.intercept_[0])))


def _kernel_ridge(z: Var, ridge: Any) -> Var | None:
    if ridge.kernel not in _KERNELS:
        return None
    gamma = 1.0 / ridge.X_fit_.shape[1] if ridge.gamma is None else ridge.gamma
    return kernel_machine(z, expand(_KERNELS[ridge.kernel](gamma), ridge.X_fit_, ridge.dual_coef_, 0.0))


def uniform_neighbours(z: Var, knn: Any) -> Var | None:
    """Return the mean target of the nearest rows, float64 [n, 1]; None where distances weigh or are not Euclidean."""
    if knn.weights != "uniform" or knn.effective_metric_ != "euclidean":
        return None
    known = np.asarray(knn._fit_X), np.ravel(knn._y).astype(np.float64)  # noqa: SLF001 - the model is these rows
    return nearest_neighbours(z, Neighbours(*known, knn.n_neighbors))


def _voting(voting: Any, x: Var, n_features: int) -> Var:
    members = [estimator_graph(member, x, n_features) for member in voting.estimators_]
    return linear(op.concat(members, axis=1), shares(voting), 0.0)


def shares(voting: Any) -> NDArray[np.float64]:
    """Return the weights of those members of a voting ensemble that are not dropped, float64 [k], with sum 1."""
    given = voting.weights if voting.weights is not None else np.ones(len(voting.estimators))
    kept = [weight for weight, (_, one) in zip(given, voting.estimators, strict=True) if one != "drop"]
    weights: NDArray[np.float64] = np.array(kept, dtype=np.float64) / np.sum(kept)
    return weights


def _stacking(stacking: Any, x: Var, n_features: int) -> Var:
    members = [estimator_graph(member, x, n_features) for member in stacking.estimators_]
    width = len(members)
    if stacking.passthrough:
        members.append(wide(x))
        width += n_features
    return estimator_graph(stacking.final_estimator_, op.concat(members, axis=1), width)


def _of_transformed_target(whole: Any, x: Var, n_features: int) -> Var | None:
    value = estimator_graph(whole.regressor_, x, n_features)
    if whole.transformer is None and whole.inverse_func is None:
        return value
    if type(whole.transformer_).__name__ == "StandardScaler":
        start, step = np.ravel(whole.transformer_.inverse_transform([[0.0], [1.0]]))
        return op.add(op.mul(value, op.const(float(step - start))), op.const(float(start)))
    if whole.inverse_func is np.exp:
        return op.exp(value)
    if whole.inverse_func is np.expm1:
        return op.sub(op.exp(value), op.const(1.0))
    return None


_KERNELS: Final[dict[str, Callable[[float], Kernel]]] = {
    "rbf": lambda gamma: Kernel(float(gamma), 0.0),
    "linear": lambda _: Kernel(None, 1.0),
}
_OF_POINTS: Final[dict[str, Callable[[Var, Any], Var | None]]] = {
    "SVR": support_vectors,
    "NuSVR": support_vectors,
    "KernelRidge": _kernel_ridge,
    "KNeighborsRegressor": uniform_neighbours,
}
_COMBINED: Final[dict[str, Callable[[Any, Var, int], Var | None]]] = {
    "VotingRegressor": _voting,
    "StackingRegressor": _stacking,
    "TransformedTargetRegressor": _of_transformed_target,
}


def wide(x: Var) -> Var:
    """Return numbers as float64."""
    return op.cast(x, to=np.float64)


def by_skl2onnx(estimator: Any, x: Var, n_features: int, **options: Any) -> list[Var]:
    """Return what skl2onnx makes of an estimator, in float64 if that runs and passes the audit, else in float32.

    Args:
        estimator: What is converted.
        x: Its input [n, d].
        n_features: d.
        options: Of its converter.

    Raises:
        HeadError: It has no conversion that runs.
    """
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    reason: Exception | None = None
    runs: list[tuple[Any, onnx.ModelProto]] = []
    for numbers, precision in ((DoubleTensorType, np.float64), (FloatTensorType, np.float32)):
        try:
            model = _converted(estimator, numbers([None, n_features]), options)
            _try_to_open(model)
            runs.append((precision, model))
            audit(model.SerializeToString(), Path("head.onnx"), HeadError)
        except Exception as error:  # noqa: BLE001 - neither package has a class for all that it raises
            reason = error
        else:
            return list(inline(model)(op.cast(x, to=precision)).values())
    for precision, model in runs:  # the audit of the whole head says what is wrong with it
        return list(inline(model)(op.cast(x, to=precision)).values())
    raise HeadError(
        f"{type(estimator).__name__} cannot be converted to ONNX", f"models that can: {', '.join(MODELS)}"
    ) from reason


def _converted(estimator: Any, numbers: Any, options: dict[str, Any]) -> onnx.ModelProto:
    from skl2onnx import convert_sklearn

    model: onnx.ModelProto = convert_sklearn(
        estimator,
        name="head",  # a random one otherwise, and the digest with it
        initial_types=[(INPUT, numbers)],
        target_opset={"": OPSET, "ai.onnx.ml": _ML_OPSET},
        options={id(estimator): options} if options else None,
    )
    return model


def _try_to_open(model: onnx.ModelProto) -> None:
    """Raise what ONNX Runtime raises where it has no operator for these types."""
    runtime = onnx_runtime()
    options = runtime.SessionOptions()
    options.log_severity_level = SILENT
    runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def brought_graph(regressor: OwnGraph, x: Var) -> Var:
    """Return the graph that a regressor brings, with its input cast to the type that it takes."""
    model = regressor.onnx_graph()
    kind = type(regressor).__name__
    if (len(model.graph.input), len(model.graph.output)) != (1, 1):
        raise HeadError(f"the ONNX graph of {kind} must have one input and one output", _TELL_THE_AUTHORS)
    taken = helper.tensor_dtype_to_np_dtype(model.graph.input[0].type.tensor_type.elem_type)
    try:
        (value,) = inline(model)(op.cast(x, to=taken)).values()
        return op.reshape(op.cast(value, to=np.float64), op.const([-1, 1]))
    except Exception as error:  # spox hands on what onnx and NumPy raise
        reason = in_a_line(f"{type(error).__name__}: {error}")[:_SHOWN]
        raise HeadError(f"the ONNX graph of {kind} cannot be used: {reason}", _TELL_THE_AUTHORS) from error
