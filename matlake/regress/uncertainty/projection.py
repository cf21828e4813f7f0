"""The space in which a head measures distances: principal components of its standardised features.

It is a linear map, so it becomes a second output of the head's ONNX file, and a new material can be placed in it.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from matlake.regress.onnx.graphs import INPUT

COORDINATES: Final = "coordinates"
DIMENSIONS: Final = 32
"""Components kept: on ten real properties, distances in 32 rank errors as well as distances in all features do."""


@dataclass(frozen=True)
class Projection:
    """An affine map from features to coordinates.

    Attributes:
        mean: float64 [d], of the training rows.
        matrix: float64 [d, p].
    """

    mean: NDArray[np.float64]
    matrix: NDArray[np.float64]

    def apply(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return coordinates float32 [n, p] of features float32 [n, d]."""
        return ((x - self.mean) @ self.matrix).astype(np.float32)

    def divided_by(self, scale: float) -> "Projection":
        """Return the projection in another unit of length."""
        return replace(self, matrix=self.matrix / scale)


def fit_projection(x: NDArray[np.float32], seed: int) -> Projection:
    """Fit the projection to training rows.

    Args:
        x: float32 [n, d].
        seed: Of the randomised decomposition.
    """
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler

    wide = x.astype(np.float64)
    scaler = StandardScaler().fit(wide)
    components = min(DIMENSIONS, *x.shape)
    pca = PCA(components, random_state=seed).fit(scaler.transform(wide))
    return Projection(scaler.mean_, pca.components_.T / scaler.scale_[:, None])


def add_coordinates(content: bytes, projection: Projection) -> bytes:
    """Give a head's ONNX file the output ``coordinates`` float32 [n, p], computed in float64."""
    model = onnx.load_model_from_string(content)
    graph = model.graph
    for name, value in (("projection_mean", projection.mean), ("projection_matrix", projection.matrix)):
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
    graph.node.extend(
        [
            helper.make_node("Cast", [INPUT], ["projection_input"], to=TensorProto.DOUBLE),
            helper.make_node("Sub", ["projection_input", "projection_mean"], ["projection_centred"]),
            helper.make_node("MatMul", ["projection_centred", "projection_matrix"], ["projection_wide"]),
            helper.make_node("Cast", ["projection_wide"], [COORDINATES], to=TensorProto.FLOAT),
        ]
    )
    graph.output.append(
        helper.make_tensor_value_info(COORDINATES, TensorProto.FLOAT, ["n", projection.matrix.shape[1]])
    )
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())
