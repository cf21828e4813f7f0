"""The making of descriptors: encoders that have learned nothing. Needs no torch.

``export_fractions`` makes the element fractions themselves an encoder; ``matlake.export.magpie`` makes one of the
attributes of Magpie, ``matlake.export.geometry`` one of structural attributes of crystals.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper

from matlake.encoders.card import EncoderCard, InputKind, InputParameters, Layer, Precision
from matlake.encoders.composition_encoder import FRACTIONS
from matlake.encoders.encoder import Encoder
from matlake.encoders.reference import reference_fractions
from matlake.encoders.training_record import TrainingRecord
from matlake.encoders.writing import write_encoder
from matlake.errors import EncoderError
from matlake.extras import tool_versions
from matlake.materials.periodic_table import ELEMNET_ELEMENTS

TOOLS: Final = ("matlake", "numpy", "onnx", "onnxruntime", "onnxruntime-gpu")
_OPSET: Final = 20
_IR_VERSION: Final = 10
_FRACTIONS_OF_ELEMENTS: Final = InputParameters(ELEMNET_ELEMENTS)
_FRACTIONS_LAYER: Final = Layer("fractions", "element_fractions", len(ELEMNET_ELEMENTS))


def export_fractions(folder: Path) -> EncoderCard:
    """Write the encoder ``fractions``, the 86 element fractions as they are, to a folder; return its card."""
    size = len(ELEMNET_ELEMENTS)
    model = as_model(
        [helper.make_node("Identity", [FRACTIONS], [_FRACTIONS_LAYER.output])], [], {FRACTIONS: size}, _FRACTIONS_LAYER
    )
    draft = descriptor_card(
        architecture="fractions",
        layer=_FRACTIONS_LAYER,
        parity_tolerance=0.0,
        licence="Apache-2.0",
        attributes=ELEMNET_ELEMENTS,
        citation=("D. Jha et al., Sci. Rep. 8, 17593 (2018), doi:10.1038/s41598-018-35934-y (the 86 elements)",),
    )

    def parity(encoder: Encoder) -> float:
        fractions = reference_fractions()
        return float(np.abs(encoder.encode(fractions) - fractions).max())

    return write_descriptor(draft, model, folder, parity)


def descriptor_card(
    *,
    architecture: str,
    layer: Layer,
    parity_tolerance: float,
    licence: str,
    attributes: Sequence[str],
    citation: tuple[str, ...],
    parameters: InputParameters = _FRACTIONS_OF_ELEMENTS,
    input_kind: InputKind = InputKind.COMPOSITION,
    element_tables: dict[str, Any] | None = None,
    tools: Sequence[str] = (),
) -> EncoderCard:
    """Return the card of a descriptor, yet without the digest and the parity that ``write_descriptor`` adds.

    The tolerance is relative to the largest absolute value of each attribute, and attributes are the columns of the
    only layer. Parameters and kind of input are those of a graph that takes element fractions, unless given; element
    tables say where the numbers come from; tools are packages whose versions count beside ``TOOLS``.
    """
    return EncoderCard(
        name=architecture,
        version=1,
        architecture=architecture,
        input=input_kind,
        layers=(layer,),
        default_layer=layer.name,
        sha256="",
        precision=Precision.FLOAT32,
        parity_tolerance=parity_tolerance,
        licence=licence,
        input_parameters=parameters,
        training=TrainingRecord(learned="nothing", element_tables=element_tables, attributes=tuple(attributes)),
        citation=citation,
        tool_versions=tool_versions((*TOOLS, *tools)),
    )


def write_descriptor(
    draft: EncoderCard, model: onnx.ModelProto, folder: Path, parity: Callable[[Encoder], float]
) -> EncoderCard:
    """Write a descriptor as ``write_encoder`` does; ``parity`` returns its error, as the card's tolerance is meant.

    Raises:
        EncoderError: The error is larger than the tolerance.
    """

    def measure(encoder: Encoder) -> dict[str, Any]:
        error = parity(encoder)
        if not error <= draft.parity_tolerance:
            raise EncoderError(
                f"{draft.name} differs by {error:.1e} from its reference, allowed {draft.parity_tolerance:.0e}",
                "no card was written: the reference has changed",
            )
        return {"parity": {draft.default_layer: error}}

    return write_encoder(draft, model.SerializeToString(deterministic=True), folder, measure)


def as_model(
    nodes: Sequence[onnx.NodeProto], constants: Sequence[onnx.TensorProto], inputs: dict[str, int], layer: Layer
) -> onnx.ModelProto:
    """Return a checked model; its inputs, named with their widths, and its output are float32 [batch, width]."""
    graph = helper.make_graph(
        nodes,
        "descriptor",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width]) for name, width in inputs.items()],
        [helper.make_tensor_value_info(layer.output, TensorProto.FLOAT, ["batch", layer.dim])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)
    model.producer_name = "matlake"
    onnx.checker.check_model(model, full_check=True)
    return model
