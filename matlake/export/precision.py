"""Smaller files from a float32 graph: weights stored as float16, or matrix products in int8.

Both keep inputs and outputs in float32 and use standard operators only.
"""

import copy
from collections.abc import Callable
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from matlake.encoders.composition_encoder import FRACTIONS
from matlake.errors import EncoderError
from matlake.networks.writing import ALLOWED_OPERATORS, check_operators

INT8_MIN_INPUTS: Final = 256
"""Layers with fewer inputs stay in float32: they cost next to nothing and decide the prediction."""

WEIGHT_LEVELS: Final = 63
"""Weights are kept within ±63 rather than ±127: on processors without VNNI two products of 255 · 127 overflow
the 16-bit sums of the x86 instruction, and the result would depend on the machine."""

_ACTIVATION_LEVELS: Final = 255.0
_SMALLEST_SCALE: Final = 1e-30


def store_as_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """Store weight matrices as float16, each with a Cast to float32 that ONNX Runtime folds when it loads.

    Raises:
        EncoderError: A weight is too large for float16.
    """
    smaller = copy.deepcopy(model)
    graph = smaller.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) < 2:  # noqa: PLR2004 - biases stay
            continue
        name = tensor.name
        weights = numpy_helper.to_array(tensor)
        if np.abs(weights).max() > np.finfo(np.float16).max:
            raise EncoderError(f"a weight of {name} is too large for float16", "export in the precision float32")
        tensor.CopyFrom(numpy_helper.from_array(weights.astype(np.float16), f"{name}.float16"))
        casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    check_operators(smaller, ALLOWED_OPERATORS["float16"])
    return smaller


def compute_in_int8(model: onnx.ModelProto) -> onnx.ModelProto:
    """Run the wide hidden layers as products of 8-bit integers.

    Weights have one scale an output channel. Activations, not negative after ReLU, have one scale a *row*,
    taken from that row: a row's result does not depend on its batch, unlike with one scale a tensor, and no
    composition is clipped to a range that some calibration set happened to span.
    """
    smaller = copy.deepcopy(model)
    graph = smaller.graph
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    added = [
        numpy_helper.from_array(np.array([1], dtype=np.int64), "axis_1"),
        numpy_helper.from_array(np.array(1 / _ACTIVATION_LEVELS, dtype=np.float32), "activation_step"),
        numpy_helper.from_array(np.array(_SMALLEST_SCALE, dtype=np.float32), "smallest_scale"),
    ]
    for node in graph.node:
        if node.op_type != "Gemm" or node.input[0] == FRACTIONS or weights[node.input[1]].shape[1] < INT8_MIN_INPUTS:
            nodes.append(node)
            continue
        quantised, scale = _per_channel(weights[node.input[1]].T)
        added.append(numpy_helper.from_array(quantised, f"{node.input[1]}.int8"))
        added.append(numpy_helper.from_array(scale, f"{node.input[1]}.scale"))
        x, weight, bias = node.input
        nodes.extend(_integer_gemm(x, weight, bias, node.output[0]))
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in (*graph.initializer, *added) if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    check_operators(smaller, ALLOWED_OPERATORS["int8"])
    return smaller


PRECISIONS: Final[dict[str, Callable[[onnx.ModelProto], onnx.ModelProto]]] = {
    "float32": lambda model: model,
    "float16": store_as_float16,
    "int8": compute_in_int8,
}


def _per_channel(matrix: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Quantise [inputs, outputs] with a scale for each output; a channel of zeros keeps the scale one."""
    largest = np.abs(matrix).max(axis=0)
    scale = np.where(largest > 0, largest / WEIGHT_LEVELS, 1.0).astype(np.float32)
    return np.rint(matrix / scale).clip(-WEIGHT_LEVELS, WEIGHT_LEVELS).astype(np.int8), scale


def _integer_gemm(x: str, weight: str, bias: str, output: str) -> list[onnx.NodeProto]:
    """Return nodes for relu-activations x · weight + bias with a scale for each row of x."""
    node = helper.make_node
    return [
        node("ReduceMax", [x, "axis_1"], [f"{x}.max"], keepdims=0),
        node("Mul", [f"{x}.max", "activation_step"], [f"{x}.step"]),
        node("Max", [f"{x}.step", "smallest_scale"], [f"{x}.scale"]),
        node("QuantizeLinear", [x, f"{x}.scale"], [f"{x}.uint8"], axis=0),
        node("MatMulInteger", [f"{x}.uint8", f"{weight}.int8"], [f"{x}.int32"]),
        node("Cast", [f"{x}.int32"], [f"{x}.product"], to=TensorProto.FLOAT),
        node("Mul", [f"{x}.product", f"{weight}.scale"], [f"{x}.by_channel"]),
        node("Unsqueeze", [f"{x}.scale", "axis_1"], [f"{x}.row_scale"]),
        node("Mul", [f"{x}.by_channel", f"{x}.row_scale"], [f"{x}.by_row"]),
        node("Add", [f"{x}.by_row", bias], [output]),
    ]
