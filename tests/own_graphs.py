"""Graphs that another program could have made, sound and hostile, and cards that a person could have written."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

ELEMENTS = 95
WIDTH = 4
PAIR_INPUTS: dict[str, tuple[int, list[str | int]]] = {
    "numbers": (TensorProto.INT64, ["atoms"]),
    "lengths": (TensorProto.FLOAT, ["distances"]),
    "neighbours": (TensorProto.INT64, ["atoms", "places"]),
    "length_index": (TensorProto.INT64, ["atoms", "places"]),
    "counts": (TensorProto.FLOAT, ["atoms", "places"]),
    "pool": (TensorProto.FLOAT, ["crystals", "atoms"]),
}
FRACTIONS: dict[str, tuple[int, list[str | int]]] = {"fractions": (TensorProto.FLOAT, ["batch", 86])}


def node(operator: str, inputs: str, output: str, **attributes: Any) -> NodeProto:
    return helper.make_node(operator, inputs.split(), [output], **attributes)


PAIR_NODES = [
    node("Gather", "table numbers", "atoms"),
    node("Gather", "atoms neighbours", "near"),
    node("Gather", "lengths length_index", "distances"),
    node("Neg", "distances", "negative"),
    node("Exp", "negative", "decay"),
    node("Mul", "decay counts", "counted"),
    node("Unsqueeze", "counted last", "columns"),
    node("Mul", "near columns", "messages"),
    node("ReduceSum", "messages one", "summed", keepdims=0),
    node("Add", "atoms summed", "updated"),
    node("MatMul", "pool updated", "pooled"),
]
"""A round of messages between atoms, and the mean over them."""

COMPOSITION_NODES = [node("MatMul", "fractions dense", "product"), node("Tanh", "product", "hidden")]


def changed(nodes: Sequence[NodeProto], output: str, *others: NodeProto) -> list[NodeProto]:
    """Return nodes with others in place of the one that makes an output."""
    return [new for old in nodes for new in (others if output in old.output else [old])]


def behind(nodes: Sequence[NodeProto], output: str, *others: NodeProto) -> list[NodeProto]:
    """Return nodes of which the last makes ``inner``, and others that make the output from it."""
    last = helper.make_node(nodes[-1].op_type, nodes[-1].input, ["inner"])
    assert output in nodes[-1].output
    return [*nodes[:-1], last, *others]


def write_graph(
    path: Path,
    nodes: Sequence[NodeProto],
    inputs: Mapping[str, tuple[int, list[str | int]]],
    outputs: Mapping[str, Sequence[str | int]],
    *,
    elements: int = ELEMENTS,
    tensors: Iterable[TensorProto] = (),
) -> Path:
    """Write a graph whose weights are fixed random numbers."""
    random = np.random.default_rng(0)
    weights = {
        "table": random.normal(size=(elements, WIDTH)).astype(np.float32),
        "dense": random.normal(size=(86, WIDTH)).astype(np.float32),
        "last": np.array([2]),
        "one": np.array([1]),
        "seventeen": np.array(17),
        "zero": np.array([0]),
    }
    used = {name for each in nodes for name in each.input}
    graph = helper.make_graph(
        nodes,
        "own",
        [helper.make_tensor_value_info(name, kind, shape) for name, (kind, shape) in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [*(numpy_helper.from_array(value, name) for name, value in weights.items() if name in used), *tensors],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), path)
    return path


def pair_graph(path: Path, nodes: Sequence[NodeProto] = PAIR_NODES, **settings: Any) -> Path:
    usual: dict[str, Any] = {"inputs": PAIR_INPUTS, "outputs": {"pooled": ["crystals", WIDTH]}}
    return write_graph(path, nodes, **usual | settings)


def composition_graph(path: Path, nodes: Sequence[NodeProto] = COMPOSITION_NODES, **settings: Any) -> Path:
    usual: dict[str, Any] = {"inputs": FRACTIONS, "outputs": {"hidden": ["batch", WIDTH]}}
    return write_graph(path, nodes, **usual | settings)


def pair_card(**changed: Any) -> dict[str, Any]:
    """Return what has to be on the card of an encoder of pair graphs."""
    return {
        "name": "own-pairs",
        "architecture": "a round of messages",
        "input": "crystal",
        "licence": "CC0-1.0",
        "input_parameters": {"elements": ["H-Pu"], "graph": pair_recipe()},
        "training": "nothing",
    } | changed


def pair_recipe(**changed: Any) -> dict[str, Any]:
    return {"kind": "pairs", "cutoff_A": 5.0, "max_neighbours": 12, "blocks": 1} | changed


def composition_card(**changed: Any) -> dict[str, Any]:
    return {
        "name": "own-compositions",
        "architecture": "one dense layer",
        "input": "composition",
        "licence": "CC0-1.0",
        "training": "nothing",
    } | changed
