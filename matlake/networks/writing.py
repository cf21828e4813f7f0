"""From a network to an ONNX graph: plain, clean of traces of the machine, and of known operators only."""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import onnx
import torch
from torch import nn

from matlake.encoders.card import PREDICTION, Layer
from matlake.encoders.composition_encoder import FRACTIONS
from matlake.encoders.graph_inputs import axes_of, graph_inputs
from matlake.errors import EncoderError
from matlake.materials.crystal import CrystalColumns, make_crystal
from matlake.materials.graph_recipe import GraphRecipe
from matlake.networks.architectures import Architecture
from matlake.networks.elemnet import HIDDEN_WIDTHS, N_ELEMENTS, ElemNet

OPSET: Final = 20
DEFAULT_LAYERS: Final = {"composition": "1", "crystal": "pooled"}
"""ElemNet's carries over best to ten properties of compositions, see ``benchmarks/studies/encoders.md``."""

ALLOWED_OPERATORS: Final = {
    "float32": frozenset({"Gemm", "Relu", "Squeeze"}),
    "float16": frozenset({"Gemm", "Relu", "Squeeze", "Cast"}),
    "int8": frozenset(
        {"Gemm", "Relu", "Squeeze", "Cast", "ReduceMax", "Max", "Mul", "Add", "Unsqueeze", "QuantizeLinear"}
        | {"MatMulInteger"}
    ),
}

GRAPH_OPERATORS: Final = frozenset(
    {"Abs", "Add", "Cast", "Concat", "Cos", "Div", "Exp", "Gather", "Gemm", "LayerNormalization", "Less", "Log"}
    | {"MatMul", "Mul", "Neg", "Pow", "Reciprocal", "ReduceMax", "ReduceSum", "Relu", "Reshape", "Sigmoid", "Sin"}
    | {"Split", "Sqrt", "Squeeze", "Sub", "Tanh", "Transpose", "Unsqueeze"}
)
"""Operators that a graph encoder may contain. No scatter: ONNX Runtime's are slow, or lose updates with two threads. No
inverse trigonometry: its CUDA provider has none. Each of these runs on both devices."""


def elemnet_model(network: ElemNet) -> tuple[onnx.ModelProto, tuple[Layer, ...]]:
    """Export an ElemNet in float32.

    Returns:
        A model with the input ``fractions`` float32 [batch, 86] and the outputs ``hidden_1`` … ``hidden_16``
        [batch, width] after ReLU and ``prediction`` [batch, targets], weights inline, and its layers in order.

    Raises:
        EncoderError: The exporter used an operator that is not expected here.
    """
    example = {FRACTIONS: torch.full((2, N_ELEMENTS), 1 / N_ELEMENTS)}
    shapes = ({0: torch.export.Dim("batch")},)
    hidden = (Layer(str(i), f"hidden_{i}", width) for i, width in enumerate(HIDDEN_WIDTHS, start=1))
    layers = (*hidden, Layer(PREDICTION, PREDICTION, network.output.out_features))
    return _export(network, example, layers, shapes, ALLOWED_OPERATORS["float32"]), layers


def graph_model(
    architecture: Architecture, network: nn.Module, recipe: GraphRecipe
) -> tuple[onnx.ModelProto, tuple[Layer, ...]]:
    """Export a graph network in float32.

    Returns:
        A model with the inputs of ``graph_inputs`` and weights inline, and its layers in order.

    Raises:
        EncoderError: The exporter used an operator that is not expected here.
    """
    network = network.eval()
    graphs = recipe.build(sample_crystals())
    with torch.no_grad():
        outputs = network(architecture.batch(recipe.build(sample_crystals(), resolution=0.0)))
    layers = tuple(Layer(name, f"layer_{name}", tensor.shape[1]) for name, tensor in outputs.items())
    arrays = graph_inputs(graphs, recipe)
    example = {name: torch.from_numpy(arrays[name]) for name in architecture.inputs}
    shapes = _dynamic_shapes(architecture.inputs, recipe)
    return _export(architecture.fast(network), example, layers, shapes, GRAPH_OPERATORS), layers


def _dynamic_shapes(inputs: tuple[str, ...], recipe: GraphRecipe) -> tuple[dict[int, Any], ...]:
    """Return the varying dimensions of some inputs; axes of one name share theirs."""
    axes = axes_of(recipe)
    names = {axis.rpartition("*")[2] for name in inputs for axis in axes[name] if not axis.isdigit()}
    dims = {name: torch.export.Dim(name) for name in sorted(names)}

    def dim(axis: str) -> Any:
        factor, _, name = axis.rpartition("*")
        if not factor:
            return dims[name]
        return (int(factor) if factor.isdigit() else max(1, getattr(recipe, factor))) * dims[name]

    return tuple({place: dim(axis) for place, axis in enumerate(axes[name]) if not axis.isdigit()} for name in inputs)


def sample_crystals() -> CrystalColumns:
    """Return crystals that give every dimension another size: rock salt, and one of low symmetry."""
    salt = make_crystal([11, 17], [[0, 2.8, 2.8], [2.8, 0, 2.8], [2.8, 2.8, 0]], [[0, 0, 0], [0.5, 0.5, 0.5]])
    random = np.random.default_rng(0)
    low = make_crystal([22, 8, 8, 14], np.diag([4.1, 4.9, 5.7]), random.random((4, 3)))
    return CrystalColumns.of([salt, low, low])


def _export(
    module: nn.Module,
    example: Mapping[str, torch.Tensor],
    layers: Sequence[Layer],
    dynamic_shapes: tuple[dict[int, Any], ...],
    operators: frozenset[str],
) -> onnx.ModelProto:
    """Export a module in float32, with weights inline; ``dynamic_shapes`` has the varying dimensions of each input."""
    with _quiet_exporter():
        program = torch.onnx.export(
            module.eval(),
            tuple(example.values()),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(example),
            output_names=[layer.output for layer in layers],
            dynamic_shapes=dynamic_shapes,
            verbose=False,
        )
    if program is None:
        raise EncoderError("the ONNX exporter returned nothing", "update torch and onnxscript")
    model = program.model_proto
    _strip_traces(model)
    check_operators(model, operators)
    return model


def _strip_traces(model: onnx.ModelProto) -> None:
    """Remove stack traces with paths of this machine, and shape notes that later rewrites would outdate."""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    for item in (*model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output):
        del item.metadata_props[:]
        item.doc_string = ""


def check_operators(model: onnx.ModelProto, allowed: frozenset[str]) -> None:
    """Raise EncoderError when a graph is not valid or uses an operator that is not allowed."""
    onnx.checker.check_model(model, full_check=True)
    foreign = {node.op_type for node in model.graph.node} - allowed
    if foreign or model.functions:
        raise EncoderError(
            f"the graph uses unexpected operators: {', '.join(sorted(foreign)) or 'functions'}",
            "this version of torch exports another graph: report it",
        )


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Keep remarks away that concern the exporter's own code or packages that are not used here."""
    registration = logging.getLogger("torch.onnx._internal.exporter._registration")  # "torchvision is not installed"
    level = registration.level
    registration.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=r".*LeafSpec", category=FutureWarning)
            warnings.filterwarnings("ignore", message=r"# The axis name", category=UserWarning)
            yield
    finally:
        registration.setLevel(level)
