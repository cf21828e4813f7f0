"""From a graph network to an ONNX graph and its layers."""

from typing import Any, Final

import numpy as np
import onnx
import torch
from torch import nn

from matlake.encoders.card import Layer
from matlake.encoders.graph_inputs import graph_inputs
from matlake.export.onnx_export import export_module
from matlake.materials.crystal import CrystalColumns, make_crystal
from matlake.materials.graph_recipe import GraphRecipe
from matlake.networks.architectures import Architecture

DEFAULT_LAYER: Final = "pooled"

GRAPH_OPERATORS: Final = frozenset(
    {"Abs", "Add", "Cast", "Concat", "Cos", "Div", "Exp", "Gather", "Gemm", "Less", "Log", "MatMul", "Mul", "Neg"}
    | {"Pow", "Reciprocal", "Relu", "Reshape", "Sigmoid", "Sin", "Split", "Squeeze", "Sub", "Transpose"}
    | {"Unsqueeze"}
)
"""Operators that a graph encoder may contain. No scatter: ONNX Runtime's are slow, or lose updates with two threads. No
inverse trigonometry: its CUDA provider has none. Each of these runs on both devices."""


def graph_model(
    architecture: Architecture, network: nn.Module, recipe: GraphRecipe
) -> tuple[onnx.ModelProto, tuple[Layer, ...]]:
    """Export a graph network in float32.

    Args:
        architecture: What the network is.
        network: The reference network.
        recipe: The graphs it was made for.

    Returns:
        A model with the inputs of ``graph_inputs`` and weights inline, and its layers in order.

    Raises:
        EncoderError: The exporter used an operator that is not expected here.
    """
    network = network.eval()
    graphs = recipe.build(sample_crystals())
    with torch.no_grad():
        outputs = network(architecture.batch(graphs))
    layers = tuple(Layer(name, f"layer_{name}", tensor.shape[1]) for name, tensor in outputs.items())
    arrays = graph_inputs(graphs)
    example = {name: torch.from_numpy(arrays[name]) for name in architecture.inputs}
    shapes = _dynamic_shapes(architecture.inputs, recipe.degrees)
    return export_module(architecture.fast(network), example, layers, shapes, GRAPH_OPERATORS), layers


def _dynamic_shapes(inputs: tuple[str, ...], degrees: int) -> tuple[dict[int, Any], ...]:
    names = ("crystals", "atoms", "distances", "places", "messages", "outgoing")
    crystals, atoms, distances, places, messages, outgoing = (torch.export.Dim(name) for name in names)
    pairs = "neighbours" in inputs
    shapes: dict[str, tuple[Any, ...]] = {
        "numbers": (atoms,),
        "lengths": (distances,),
        "neighbours": (atoms, places),
        "length_index": (atoms, places) if pairs else (messages,),
        "sources": (messages,),
        "targets": (messages,),
        "incoming": (atoms, places),
        "counts": (atoms, places),
        "coupled": (atoms, max(1, degrees) * places),
        "couplings": (atoms, outgoing, max(1, degrees) * places),
        "rows": (messages,),
        "pool": (crystals, atoms),
    }
    return tuple(dict(enumerate(shapes[name])) for name in inputs)


def sample_crystals() -> CrystalColumns:
    """Return crystals that give every dimension another size: rock salt, and one of low symmetry."""
    salt = make_crystal([11, 17], [[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]], [[0, 0, 0], [0.5, 0.5, 0.5]])
    random = np.random.default_rng(0)
    low = make_crystal([22, 8, 8, 14], np.diag([4.1, 4.9, 5.7]), random.random((4, 3)))
    return CrystalColumns.of([salt, low, low])
