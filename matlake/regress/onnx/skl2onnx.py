"""ONNX graphs of scikit-learn's other regressors, made by skl2onnx.

It computes in float32, and writes some models wrongly without a word: what it makes has to pass ``check_parity``.
"""

from typing import Any, Final

import onnx
from onnx import TensorProto, helper, numpy_helper

from matlake.errors import HeadError
from matlake.regress.onnx.graphs import INPUT, IR_VERSION, OPSET, standardise
from matlake.regress.regressors import MODELS
from matlake.regress.regressors.scaling import Scaler

_ML_OPSET: Final = 3
_NARROW: Final = "narrow"


def convert_other(regressor: Any, scaler: Scaler | None, n_features: int) -> onnx.ModelProto:
    """Convert a regressor that has no graph of its own.

    Args:
        regressor: A fitted estimator of scikit-learn's.
        scaler: Of the features, computed in float64; None where they are taken as they are.
        n_features: Number of columns.

    Returns:
        Input ``features`` float32 [n, d], one output float32 [n, 1].

    Raises:
        HeadError: skl2onnx cannot convert it.
    """
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType
    from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator

    entry = _NARROW if scaler else INPUT
    try:
        model: onnx.ModelProto = convert_sklearn(
            regressor,
            name="head",  # a random one otherwise, and the digest with it
            initial_types=[(entry, FloatTensorType([None, n_features]))],
            target_opset={"": OPSET, "ai.onnx.ml": _ML_OPSET},
        )
    except (MissingConverter, MissingShapeCalculator, NotImplementedError, RuntimeError) as error:
        kind = type(regressor).__name__
        raise HeadError(f"{kind} cannot be converted to ONNX", f"models that can: {', '.join(MODELS)}") from error
    if scaler:
        _prepend(model, scaler, n_features)
    del model.opset_import[:]
    model.opset_import.extend([helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", _ML_OPSET)])
    model.ir_version = IR_VERSION
    return model


def _prepend(model: onnx.ModelProto, scaler: Scaler, n_features: int) -> None:
    nodes, constants = standardise(scaler)
    inner = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, helper.make_node("Cast", ["standard"], [_NARROW], to=TensorProto.FLOAT), *inner])
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    del model.graph.input[:]
    model.graph.input.append(helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", n_features]))
