"""ONNX graphs of ensembles: the members' graphs side by side, and the weighted sum of their outputs."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from matlake.regress.onnx.graphs import INPUT, SCALED, Part, assemble


def ensemble_graph(
    members: Sequence[onnx.ModelProto], slopes: NDArray[np.float64], intercept: float, n_features: int
) -> onnx.ModelProto:
    """Return Σₖ slopeₖ·memberₖ + intercept as one graph.

    Constants that several members hold, such as a scaler's or the rows of kernel machines, are kept once.

    Args:
        members: From ``features`` float32 [n, d] to one output [n, 1], in the operator sets of ``assemble``.
        slopes: float64 [k].
        intercept: Added to the sum.
        n_features: Number of columns.

    Returns:
        Input ``features`` float32 [n, d], one output float64 [n, 1].
    """
    constants: dict[str, NDArray[Any]] = {"slopes": slopes.reshape(-1, 1), "intercept": np.array([intercept])}
    known: dict[tuple[str, tuple[int, ...], str], str] = {}
    nodes, outputs = [], []
    for number, member in enumerate(members, start=1):
        part, own, output = _prefixed(member, f"member_{number}_")
        kept = {}
        for name, value in own.items():
            digest = hashlib.sha256(value.tobytes()).hexdigest()
            kept[name] = known.setdefault((value.dtype.str, value.shape, digest), name)
            if kept[name] == name:
                constants[name] = value
        for node in part:
            node.input[:] = [kept.get(name, name) for name in node.input]
        outputs.append(f"member_{number}")
        nodes += [*part, helper.make_node("Cast", [output], [outputs[-1]], to=TensorProto.DOUBLE)]
    nodes += [
        helper.make_node("Concat", outputs, ["members"], axis=1),
        helper.make_node("MatMul", ["members", "slopes"], ["weighted"]),
        helper.make_node("Add", ["weighted", "intercept"], [SCALED]),
    ]
    return assemble(nodes, constants, n_features)


def _prefixed(model: onnx.ModelProto, prefix: str) -> tuple[*Part, str]:
    """Return copies of a graph's nodes, its constants, and the name of its output; all but the input are renamed."""

    def renamed(names: Sequence[str]) -> list[str]:
        return [name if name in {"", INPUT} else prefix + name for name in names]

    nodes = []
    for original in model.graph.node:
        node = onnx.NodeProto()
        node.CopyFrom(original)
        node.input[:], node.output[:] = renamed(original.input), renamed(original.output)
        node.name = prefix + original.name if original.name else ""
        nodes.append(node)
    constants = {prefix + tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    return nodes, constants, prefix + model.graph.output[0].name
