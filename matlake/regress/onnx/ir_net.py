"""The ONNX graph of a residual network, written by hand in float32, in which it was trained; and the way back."""

import onnx
from onnx import TensorProto, helper

from matlake.regress.onnx.graphs import INPUT, SCALED, Constants, Part, assemble, standardise
from matlake.regress.regressors.ir_net_numpy import EPSILON, Block, Dense, ResidualNetwork
from matlake.regress.regressors.scaling import Scaler


def residual_graph(scaler: Scaler | None, network: ResidualNetwork) -> onnx.ModelProto:
    """Return a residual network as a graph.

    Args:
        scaler: Of the features, computed in float64; None where they are taken as they are.
        network: The network.

    Returns:
        Input ``features`` float32 [n, d], one output float64 [n, 1].
    """
    nodes, constants = standardise(scaler) if scaler else ([], {})
    value = INPUT
    if scaler:
        value = "narrow"
        nodes.append(helper.make_node("Cast", ["standard"], [value], to=TensorProto.FLOAT))
    for number, block in enumerate(network.blocks, start=1):
        added, needed = _block(value, block, number)
        nodes += added
        constants |= needed
        value = f"block_{number}"
    nodes.append(_gemm(value, "output", network.output, constants))
    nodes.append(helper.make_node("Cast", ["output"], [SCALED], to=TensorProto.DOUBLE))
    return assemble(nodes, constants, network.inputs)


def read_network(constants: Constants) -> ResidualNetwork | None:
    """Return the network that a graph of ``residual_graph`` holds; None where it is another graph.

    Args:
        constants: The graph's initializers by name.
    """
    blocks: list[Block] = []
    while f"dense_{len(blocks) + 1}_weights" in constants:
        number = len(blocks) + 1
        dense = _read(constants, f"dense_{number}")
        if dense is None:
            return None
        norm = (
            (constants[f"norm_{number}_scale"], constants[f"norm_{number}_shift"])
            if _normed(constants, number)
            else None
        )
        blocks.append(Block(dense, norm, _read(constants, f"shortcut_{number}")))
    output = _read(constants, "output")
    return ResidualNetwork(tuple(blocks), output) if blocks and output else None


def _block(value: str, block: Block, number: int) -> Part:
    constants: Constants = {}
    nodes = [_gemm(value, f"dense_{number}", block.dense, constants)]
    inner, beside = f"dense_{number}", value
    if block.norm is not None:
        constants |= {f"norm_{number}_scale": block.norm[0], f"norm_{number}_shift": block.norm[1]}
        names = [inner, f"norm_{number}_scale", f"norm_{number}_shift"]
        inner = f"norm_{number}"
        nodes.append(helper.make_node("LayerNormalization", names, [inner], axis=-1, epsilon=EPSILON))
    nodes.append(helper.make_node("Relu", [inner], [f"relu_{number}"]))
    if block.shortcut is not None:
        beside = f"shortcut_{number}"
        nodes.append(_gemm(value, beside, block.shortcut, constants))
    nodes.append(helper.make_node("Add", [f"relu_{number}", beside], [f"block_{number}"]))
    return nodes, constants


def _gemm(value: str, name: str, dense: Dense, constants: Constants) -> onnx.NodeProto:
    constants |= {f"{name}_weights": dense[0], f"{name}_biases": dense[1]}
    return helper.make_node("Gemm", [value, f"{name}_weights", f"{name}_biases"], [name])


def _normed(constants: Constants, number: int) -> bool:
    return f"norm_{number}_scale" in constants and f"norm_{number}_shift" in constants


def _read(constants: Constants, name: str) -> Dense | None:
    weights, biases = constants.get(f"{name}_weights"), constants.get(f"{name}_biases")
    return None if weights is None or biases is None else (weights, biases)
