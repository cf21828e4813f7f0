"""ONNX graphs of scikit-learn's other regressors, made by skl2onnx.

It computes in float32, and writes some models wrongly without a word: what it makes has to pass ``check_parity``.
"""

from typing import Any, Final

import numpy as np
import spox.opset.ai.onnx.v20 as op
from spox import Var, inline

from matlake.errors import HeadError
from matlake.regress.onnx.graphs import INPUT, OPSET
from matlake.regress.regressors import MODELS

_ML_OPSET: Final = 3


def convert_other(regressor: Any, x: Var, n_features: int) -> Var:
    """Convert a regressor that has no graph of its own.

    Args:
        regressor: A fitted estimator of scikit-learn's.
        x: Its features, float32 [n, d].
        n_features: Number of columns.

    Returns:
        float64 [n, 1].

    Raises:
        HeadError: skl2onnx cannot convert it.
    """
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType
    from skl2onnx.common.exceptions import MissingConverter, MissingShapeCalculator

    try:
        model = convert_sklearn(
            regressor,
            name="head",  # a random one otherwise, and the digest with it
            initial_types=[(INPUT, FloatTensorType([None, n_features]))],
            target_opset={"": OPSET, "ai.onnx.ml": _ML_OPSET},
        )
    except (MissingConverter, MissingShapeCalculator, NotImplementedError, RuntimeError) as error:
        kind = type(regressor).__name__
        raise HeadError(f"{kind} cannot be converted to ONNX", f"models that can: {', '.join(MODELS)}") from error
    (value,) = inline(model)(x).values()
    return op.cast(value, to=np.float64)
