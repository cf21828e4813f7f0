"""The weights of an encoder that is a plain chain of dense layers, read from its ONNX file."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.card import MODEL_FILE, read_card
from matlake.encoders.composition_encoder import FRACTIONS
from matlake.encoders.session import read_audited
from matlake.errors import EncoderError
from matlake.regress.regressors.elemnet_numpy import Dense, Layers

if TYPE_CHECKING:
    import onnx

_SHAPING: Final = ("Squeeze", "Reshape", "Flatten", "Identity")
_GEMM_DEFAULTS: Final[dict[str, Any]] = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0}


def read_source_layers(folder: Path) -> Layers:
    """Read the layers of an ElemNet: element fractions, dense layers with ReLU, a linear output.

    Weights that are stored as float16 are widened to float32, as ONNX Runtime does when it opens the file.

    Args:
        folder: The encoder's folder.

    Returns:
        The layers in order; the last has as many outputs as properties are predicted.

    Raises:
        EncoderError: The file is missing, changed or refused, is quantised, or is not a plain chain.
    """
    import onnx

    card = read_card(folder)
    if card.precision == "int8":
        raise EncoderError(
            f"encoder {card.name} is quantised to int8: its weights cannot be trained on",
            "name the float32 or float16 encoder that it was made from",
        )
    content = read_audited(folder / MODEL_FILE, card.sha256, EncoderError)
    graph = onnx.load_model_from_string(content).graph
    if [value.name for value in graph.input] != [FRACTIONS]:
        raise _not_a_chain(card.name, f"it takes {', '.join(value.name for value in graph.input)}")
    layers = tuple(_chain(graph, card.name))
    if len(layers) < 2:  # noqa: PLR2004 - a hidden layer and an output
        raise _not_a_chain(card.name, "it has no hidden layer")
    return layers


def _chain(graph: "onnx.GraphProto", name: str) -> Iterator[Dense]:
    """Walk from the input to the prediction: dense layers alternate with ReLU, and nothing else has a say."""
    constants = _constants(graph)
    waiting = [node for node in graph.node if any(entry and entry not in constants for entry in node.input)]
    value, activated = FRACTIONS, True
    while waiting:
        node = waiting.pop(0)
        if not node.input or node.input[0] != value:
            raise _not_a_chain(name, f"{node.op_type} takes {node.input[0]} where {value} is the layer before")
        if node.op_type == "Gemm" and activated:
            yield _dense(node, constants, name)
        elif node.op_type not in ("Relu", *_SHAPING) or activated:
            raise _not_a_chain(name, f"{node.op_type} follows {value}")
        value, activated = node.output[0], node.op_type == "Relu"
        if node.op_type in _SHAPING and waiting:
            raise _not_a_chain(name, f"{node.op_type} stands before the end")
    if activated:
        raise _not_a_chain(name, "its output is not linear")


def _dense(node: "onnx.NodeProto", constants: dict[str, NDArray[np.float32]], name: str) -> Dense:
    import onnx

    settings = _GEMM_DEFAULTS | {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    plain = settings["alpha"] == 1.0 and settings["beta"] == 1.0 and not settings["transA"]
    if not plain or len(node.input) != 3 or not all(entry in constants for entry in node.input[1:]):  # noqa: PLR2004 - input, weights, biases
        raise _not_a_chain(name, f"{node.output[0]} is not a dense layer with a bias")
    weights, biases = constants[node.input[1]], constants[node.input[2]]
    return np.ascontiguousarray(weights.T if settings["transB"] else weights), biases.reshape(-1)


def _constants(graph: "onnx.GraphProto") -> dict[str, NDArray[np.float32]]:
    """Return the constants of a graph by name, those behind a Cast or Identity too; floating-point ones as float32."""
    from onnx import numpy_helper

    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
        elif node.op_type in ("Cast", "Identity") and node.input[0] in constants:
            constants[node.output[0]] = constants[node.input[0]]
    return {name: array.astype(np.float32) if array.dtype.kind == "f" else array for name, array in constants.items()}


def _not_a_chain(name: str, reason: str) -> EncoderError:
    return EncoderError(
        f"encoder {name} is not a plain chain of dense layers: {reason}",
        "name an ElemNet; matlake.list_encoders() has them",
    )
