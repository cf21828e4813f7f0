"""From a fitted model to one ONNX graph that predicts in the target's unit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import spox.opset.ai.onnx.v20 as op
from numpy.typing import NDArray
from spox import Var

from matlake.encoders.audit import audit
from matlake.encoders.session import onnx_runtime
from matlake.errors import HeadError, MatlakeError
from matlake.regress.onnx.classifiers import classifier_graph
from matlake.regress.onnx.estimators import SILENT, brought_graph, estimator_graph
from matlake.regress.onnx.graphs import (
    INPUT,
    build_model,
    features_input,
    kernel_machine,
    linear,
    nearest_neighbours,
    opinion_of,
    relu_network,
    residual_network,
    standardise,
)
from matlake.regress.regressors import MODELS, Fitted
from matlake.regress.regressors.elemnet_numpy import ReluNetwork
from matlake.regress.regressors.ensemble import WeightedMean
from matlake.regress.regressors.feature_rows import Features, row_blocks
from matlake.regress.regressors.hurdle import Hurdle
from matlake.regress.regressors.ir_net_numpy import ResidualNetwork
from matlake.regress.regressors.kernels import KernelExpansion
from matlake.regress.regressors.neighbours import Neighbours
from matlake.regress.regressors.regressor import OwnGraph
from matlake.regress.regressors.scaling import Scaler
from matlake.regress.regressors.sklearn_model import FittedClassifier, FittedEstimator
from matlake.regress.targets.target_space import TargetSpace
from matlake.regress.targets.transforms import LARGEST_LOG, Transform
from matlake.regress.uncertainty.opinions import Opinion
from matlake.regress.uncertainty.projection import Projection
from matlake.text_tables import in_a_line

VALUE: Final = "value"
COORDINATES: Final = "coordinates"
OPINIONS: Final = "opinions"
PARITY_TOLERANCE: Final = 1e-4
"""Largest error allowed against the fitted model, relative to the target's standard deviation."""

_SHOWN: Final = 300  # characters of what other packages say


def convert(
    fitted: Fitted, n_features: int, projection: Projection | None = None, opinions: Sequence[Opinion] = ()
) -> bytes:
    """Convert a fitted model and fold the target's scaling in.

    Args:
        fitted: Scaler and regressor, fitted to a standardised target.
        n_features: Number of columns.
        projection: Adds the output ``coordinates`` float32 [n, p], computed in float64.
        opinions: Adds, with a projection, the output ``opinions`` float64 [n, k], on the fitted scale.

    Returns:
        An ONNX file with the input ``features`` float32 [n, d] and the output ``value`` float64 [n]. The last step is
        done in float64, so that a target with a large mean and a small spread keeps its digits.

    Raises:
        HeadError: There is no conversion for this regressor.
    """
    features = features_input(n_features)
    value = op.reshape(_part(fitted, features, n_features), op.const([-1]))
    outputs = {VALUE: _to_property(value, fitted.space)}
    if projection is not None:
        z = standardise(projection.scaler, features)
        outputs[COORDINATES] = op.cast(op.matmul(z, op.const(projection.matrix)), to=np.float32)
        if opinions:
            outputs[OPINIONS] = op.concat([opinion_of(z, one) for one in opinions], axis=1)
    return bytes(build_model(features, outputs).SerializeToString())


def check_parity(content: bytes, fitted: Fitted, x: NDArray[np.float32]) -> float:
    """Compare a converted head with what it was converted from; what cannot be loaded again is not saved either.

    Args:
        content: The ONNX file.
        fitted: What it was converted from.
        x: float32 [n, d], real rows.

    Returns:
        The largest error on the scale on which the target is fitted, relative to the standard deviation there.

    Raises:
        HeadError: It is above ``PARITY_TOLERANCE``, the audit refuses the file, or it fails to run.
    """
    refusal = _refusal(content, x.shape[1])
    try:
        predicted = run_graph(content, x)
    except HeadError as failure:
        raise refusal or failure from failure
    forward = fitted.space.transform.forward
    error = float(np.max(np.abs(forward(predicted) - forward(fitted.predict(x))))) / fitted.std
    if not error <= PARITY_TOLERANCE:  # said first: that a model would have been another one is the graver fault
        raise HeadError(
            f"the ONNX head differs from the fitted model by {error:.1e} of the target's standard deviation, "
            f"more than {PARITY_TOLERANCE:.0e}",
            f"train another model: {', '.join(MODELS)}",
        )
    if refusal is not None:
        raise refusal
    return error


def _refusal(content: bytes, n_features: int) -> HeadError | None:
    """Return why the audit refuses a head, or None."""
    try:
        audit(content, Path("head.onnx"), HeadError, {INPUT: n_features, VALUE: 1})
    except HeadError as refusal:
        return HeadError(f"the model cannot be a head: {refusal}", f"models that can: {', '.join(MODELS)}")
    return None


def run_graph(content: bytes, x: Features) -> NDArray[np.float64]:
    """Run a head that has just been converted.

    Args:
        content: The ONNX file.
        x: float32 [n, d].

    Returns:
        float64 [n], in the target's unit.

    Raises:
        HeadError: It fails to run.
    """
    options = onnx_runtime().SessionOptions()
    options.log_severity_level = SILENT
    try:
        session = onnx_runtime().InferenceSession(content, options, providers=["CPUExecutionProvider"])
        values = [session.run([VALUE], {INPUT: block})[0] for _, block in row_blocks(x)]
    except Exception as error:  # onnxruntime's exceptions share no public base class
        raise HeadError(
            f"the ONNX head fails to run: {in_a_line(str(error))[:_SHOWN]}", "train another model"
        ) from error
    return np.concatenate(values).astype(np.float64, copy=False)


def _to_property(fitted: Var, space: TargetSpace) -> Var:
    """Return ``TargetSpace.to_property`` of float64 [n]."""
    value, bounds = fitted, space.bounds
    if space.link is not None:
        return op.sigmoid(op.add(op.mul(value, op.const(space.link.slope)), op.const(space.link.intercept)))
    if space.transform is Transform.LOG:
        value = op.exp(op.min([value, op.const(LARGEST_LOG)]))
    elif space.transform is Transform.SQRT:
        root = op.max([value, op.const(0.0)])
        value = op.mul(root, root)
    if bounds:
        value = op.clip(value, *(None if b is None else op.const(b) for b in (bounds.minimum, bounds.maximum)))
    return value


def _predict(regressor: Any, scaler: Scaler | None, features: Var, n_features: int) -> Var:
    """Return a regressor's prediction of the standardised target, float64 [n, 1]."""
    if isinstance(regressor, WeightedMean | Hurdle):
        return _of_parts(regressor, features, n_features)
    if isinstance(regressor, FittedEstimator | FittedClassifier):
        return _of_estimator(regressor, features, n_features)
    x = standardise(scaler, features) if scaler else features
    own = _of_own_class(regressor, x)
    return estimator_graph(regressor, x, n_features) if own is None else own


def _of_own_class(regressor: Any, x: Var) -> Var | None:
    """Return the prediction of a regressor that is not scikit-learn's; None for one that is."""
    if isinstance(regressor, KernelExpansion):
        return kernel_machine(x, regressor)
    if isinstance(regressor, Neighbours):
        return nearest_neighbours(x, regressor)
    if isinstance(regressor, ReluNetwork):
        return relu_network(op.cast(x, to=np.float32), regressor.layers)
    if isinstance(regressor, ResidualNetwork):
        return residual_network(op.cast(x, to=np.float32), regressor)
    return brought_graph(regressor, x) if isinstance(regressor, OwnGraph) else None


def _of_estimator(fitted: FittedEstimator | FittedClassifier, features: Var, n_features: int) -> Var:
    try:
        if isinstance(fitted, FittedClassifier):
            return classifier_graph(fitted, features, n_features)
        return estimator_graph(fitted.estimator, features, n_features)
    except MatlakeError:
        raise
    except Exception as error:  # an estimator with a known name whose attributes are others
        called, reason = type(fitted.estimator).__name__, in_a_line(str(error))[:_SHOWN]
        raise HeadError(
            f"{called} cannot be converted to ONNX: {reason}", f"models that can: {', '.join(MODELS)}"
        ) from error


def _of_parts(regressor: WeightedMean | Hurdle, features: Var, n_features: int) -> Var:
    if isinstance(regressor, Hurdle):
        return _hurdle(regressor, features, n_features)
    return _weighted_mean(regressor, features, n_features)


def _weighted_mean(mean: WeightedMean, features: Var, n_features: int) -> Var:
    members = [_predict(member.regressor, member.scaler, features, n_features) for member in mean.members]
    spreads, centres = (np.array([getattr(m, name) for m in mean.members]) for name in ("std", "mean"))
    return linear(op.concat(members, axis=1), mean.weights * spreads, mean.weights @ centres)


def _hurdle(hurdle: Hurdle, features: Var, n_features: int) -> Var:
    p = _repeated_probability(hurdle, features, n_features)
    none, half, one = (op.const(each) for each in (0.0, 0.5, 1.0))
    odds = op.div(op.max([op.sub(one, op.mul(p, op.const(2.0))), none]), op.max([op.sub(one, p), half]))
    others, repeated = _part(hurdle.others, features, n_features), op.const(hurdle.repeated)
    distance = op.mul(op.sub(others, repeated), op.pow(odds, op.const(hurdle.spread)))
    return op.add(repeated, distance)


def _repeated_probability(hurdle: Hurdle, features: Var, n_features: int) -> Var:
    return op.clip(_part(hurdle.probability, features, n_features), op.const(0.0), op.const(1.0))


def _part(fitted: Fitted, features: Var, n_features: int) -> Var:
    """Return the prediction of a part of a regressor, float64 [n, 1], on the scale of the part's own target."""
    value = _predict(fitted.regressor, fitted.scaler, features, n_features)
    if fitted.in_unit:
        return value
    return op.add(op.mul(value, op.const(fitted.std)), op.const(fitted.mean))
