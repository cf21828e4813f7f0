"""A linear model with Huber's loss: outliers among the labels count by their distance, not by its square.

Iteratively reweighted least squares with an L2 penalty: P. J. Huber, Ann. Math. Stat. 35, 73 (1964).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from matlake.regress.regressors import Model, Parameters, Weights

_STEPS = 50
_CONVERGED = 1e-10


@dataclass(frozen=True)
class HuberLinear:
    """The function x·w + b.

    Attributes:
        slopes: float64 [d].
        intercept: b.
    """

    slopes: NDArray[np.float64]
    intercept: float

    def predict(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return predictions float64 [n] for features [n, d]."""
        return x @ self.slopes + self.intercept

    def onnx_graph(self) -> onnx.ModelProto:
        """Return the same as ONNX; else matlake would ask skl2onnx, which converts only scikit-learn's models."""
        d = len(self.slopes)
        constants = {"slopes": self.slopes[:, None], "intercept": np.array([self.intercept])}
        graph = helper.make_graph(
            [
                helper.make_node("MatMul", ["x", "slopes"], ["product"]),
                helper.make_node("Add", ["product", "intercept"], ["y"]),
            ],
            "huber",
            [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["n", d])],
            [helper.make_tensor_value_info("y", TensorProto.DOUBLE, ["n", 1])],
            [numpy_helper.from_array(value, name) for name, value in constants.items()],
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def fit_huber(
    parameters: Parameters,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    seed: int,  # noqa: ARG001 - nothing is drawn
    weights: Weights,
) -> HuberLinear:
    """Fit to standardised features [n, d] and a standardised target [n]."""
    columns = np.column_stack([x, np.ones(len(x))])
    penalty = parameters["alpha"] * np.diag([*np.ones(x.shape[1]), 0.0])
    given = np.ones(len(y)) if weights is None else weights
    solution = np.zeros(columns.shape[1])
    for _ in range(_STEPS):
        distance = np.abs(y - columns @ solution)
        counts = given * np.minimum(1.0, parameters["delta"] / np.maximum(distance, parameters["delta"]))
        gram = columns.T @ (counts[:, None] * columns) + penalty
        new = np.linalg.lstsq(gram, columns.T @ (counts * y), rcond=None)[0]
        change, solution = float(np.abs(new - solution).max()), new
        if change < _CONVERGED:
            break
    return HuberLinear(solution[:-1], float(solution[-1]))


def grid(n_features: int) -> list[Parameters]:  # noqa: ARG001 - the same for any number
    """Return the parameter sets to try; the first is the default."""
    return [{"alpha": alpha, "delta": 0.5} for alpha in (10.0, 1.0, 100.0)]


def draw(random: np.random.Generator, n_features: int) -> Parameters:  # noqa: ARG001 - likewise
    """Draw a parameter set, for the searches of the studies."""
    values: dict[str, Any] = {"alpha": 10 ** random.uniform(-1, 3), "delta": random.uniform(0.1, 2.0)}
    return values


HUBER = Model("huber", fit_huber, grid, draw, weighted=True)
