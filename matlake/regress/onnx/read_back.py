"""IR-nets read back from the ONNX graphs that were made of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from matlake.regress.onnx.convert import VALUE
from matlake.regress.regressors import Fitted
from matlake.regress.regressors.ir_net_numpy import Block, ResidualNetwork
from matlake.regress.regressors.scaling import Scaler

_SHAPING: Final = ("Cast", "Reshape", "Identity")


def read_ir_net(content: bytes) -> tuple[Fitted, ResidualNetwork] | None:
    """Return the fitted model that an ONNX graph was made of, and its network; None for another graph.

    The graph is followed from the output back to the input, by its operators: names differ between versions.

    Args:
        content: An audited ONNX file.
    """
    graph = onnx.load_model_from_string(content).graph
    constants = {tensor.name: numpy_helper.to_array(tensor).copy() for tensor in graph.initializer}
    made_by = {name: node for node in graph.node for name in node.output}
    try:
        return _read(_Graph(constants, made_by))
    except (KeyError, ValueError):
        return None


@dataclass(frozen=True)
class _Graph:
    """A graph as its constants, and its nodes by the names of their outputs."""

    constants: Mapping[str, NDArray[Any]]
    made_by: Mapping[str, onnx.NodeProto]

    def node(self, value: str) -> onnx.NodeProto:
        """Return the node that makes a value, leaving out those that change its shape or type."""
        node = self.made_by[value]
        return self.node(node.input[0]) if node.op_type in _SHAPING else node

    def back(self, value: str, operator: str) -> tuple[str, list[NDArray[Any]]]:
        """Return the input of the operator that makes a value, and its constants.

        Raises:
            KeyError: Another operator makes it, or one with several inputs that are not constants.
        """
        node = self.node(value)
        if node.op_type != operator:
            raise KeyError(operator)
        return node.input[0], [self.constants[name] for name in node.input[1:]]


def _read(graph: _Graph) -> tuple[Fitted, ResidualNetwork]:
    limited = graph.node(VALUE)
    value, (mean,) = graph.back(limited.input[0] if limited.op_type == "Clip" else VALUE, "Add")
    value, (std,) = graph.back(value, "Mul")
    value, (weights, biases) = graph.back(value, "Gemm")
    blocks: list[Block] = []
    while graph.node(value).op_type == "Add":
        value, block = _read_block(graph, value)
        blocks.insert(0, block)
    value, _ = graph.back(value, "Clip")
    value, (scale,) = graph.back(value, "Div")
    _, (centre,) = graph.back(value, "Sub")
    network = ResidualNetwork(tuple(blocks), (weights, biases))
    return Fitted(Scaler(centre, scale), network, float(mean), float(std)), network


def _read_block(graph: _Graph, value: str) -> tuple[str, Block]:
    inner, beside = graph.node(value).input
    inner, _ = graph.back(inner, "Relu")
    norm = None
    if graph.node(inner).op_type == "LayerNormalization":
        inner, (scale, shift) = graph.back(inner, "LayerNormalization")
        norm = (scale, shift)
    start, (weights, biases) = graph.back(inner, "Gemm")
    shortcut = None
    if beside != start:
        _, (shortcut_weights, shortcut_biases) = graph.back(beside, "Gemm")
        shortcut = (shortcut_weights, shortcut_biases)
    return start, Block((weights, biases), norm, shortcut)
