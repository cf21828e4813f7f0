"""Writes the encoder ``mean-mass``. Run it after a change, ``python -m matlake_example.make_encoder``, and commit."""

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from matlake.encoders.card import NOTHING, EncoderCard, InputKind, InputParameters, Layer, Precision
from matlake.encoders.composition_encoder import FRACTIONS
from matlake.encoders.encoder import Encoder
from matlake.encoders.reference import reference_fractions
from matlake.encoders.training_record import TrainingRecord
from matlake.encoders.writing import write_encoder
from matlake.extras import tool_versions
from matlake.materials.geometry.elements import MASSES_U
from matlake.materials.periodic_table import ATOMIC_NUMBER, ELEMNET_ELEMENTS
from matlake_example import MEAN_MASS

LAYER = Layer("means", "element_means", 2)
TABLE = np.array([(MASSES_U[ATOMIC_NUMBER[symbol] - 1], ATOMIC_NUMBER[symbol]) for symbol in ELEMNET_ELEMENTS])


def make_encoder() -> EncoderCard:
    """Write ``card.json`` and ``encoder.onnx``; return the card."""
    model = element_means(TABLE.astype(np.float32))
    draft = EncoderCard(
        name="mean-mass",
        version=1,
        architecture="element-means",
        input=InputKind.COMPOSITION,
        layers=(LAYER,),
        default_layer=LAYER.name,
        sha256="",
        precision=Precision.FLOAT32,
        parity_tolerance=1e-6,
        licence="Apache-2.0",
        input_parameters=InputParameters(ELEMNET_ELEMENTS),
        training=TrainingRecord(learned=NOTHING, attributes=("mean molar mass (g/mol)", "mean atomic number")),
        citation=("Standard atomic weights: CIAAW",),
        tool_versions=tool_versions(("matlake", "numpy", "onnx", "onnxruntime")),
    )

    def measure(encoder: Encoder) -> dict[str, dict[str, float]]:
        """Compare with the same in float64."""
        expected = reference_fractions().astype(np.float64) @ TABLE
        found = encoder.encode(reference_fractions())
        return {"parity": {LAYER.name: float((np.abs(found - expected) / expected.max(axis=0)).max())}}

    return write_encoder(draft, model.SerializeToString(deterministic=True), MEAN_MASS, measure)


def element_means(table: NDArray[np.float32]) -> onnx.ModelProto:
    """Return the mean over the elements of a composition of what a table [86, k] has of each."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", [FRACTIONS, "table"], [LAYER.output])],
        "element_means",
        [helper.make_tensor_value_info(FRACTIONS, TensorProto.FLOAT, ["batch", len(table)])],
        [helper.make_tensor_value_info(LAYER.output, TensorProto.FLOAT, ["batch", table.shape[1]])],
        [numpy_helper.from_array(table, "table")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


if __name__ == "__main__":
    card = make_encoder()
    print(f"{card.name}: {MEAN_MASS}, sha256 {card.sha256}")
