"""From a network to an ONNX graph: plain, clean of traces of the machine, and of known operators only."""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import onnx
import torch
from torch import nn

from matlake.encoders.card import Layer
from matlake.errors import EncoderError
from matlake.networks.elemnet import HIDDEN_WIDTHS, N_ELEMENTS, ElemNet

OPSET: Final = 20
INPUT: Final = "fractions"
DEFAULT_LAYER: Final = "2"
"""Carries over best to measured band gaps in cross-validation, see ``benchmarks/studies/layers.py``."""

ALLOWED_OPERATORS: Final = {
    "float32": frozenset({"Gemm", "Relu", "Squeeze"}),
    "float16": frozenset({"Gemm", "Relu", "Squeeze", "Cast"}),
    "int8": frozenset(
        {"Gemm", "Relu", "Squeeze", "Cast", "ReduceMax", "Max", "Mul", "Add", "Unsqueeze", "QuantizeLinear"}
        | {"MatMulInteger"}
    ),
}


def elemnet_layers(network: ElemNet) -> tuple[Layer, ...]:
    """Return the layers of a network: the hidden ones, then its prediction of one property or several."""
    hidden = (Layer(str(i), f"hidden_{i}", width) for i, width in enumerate(HIDDEN_WIDTHS, start=1))
    return (*hidden, Layer("prediction", "prediction", network.output.out_features))


def elemnet_graph(network: ElemNet) -> onnx.ModelProto:
    """Export a network in float32.

    Returns:
        A model with the input ``fractions`` float32 [batch, 86] and the outputs ``hidden_1`` … ``hidden_16``
        [batch, width] after ReLU and ``prediction`` [batch, targets]; weights inline.

    Raises:
        EncoderError: The exporter used an operator that is not expected here.
    """
    example = {INPUT: torch.full((2, N_ELEMENTS), 1 / N_ELEMENTS)}
    shapes = ({0: torch.export.Dim("batch")},)
    return export_module(network, example, elemnet_layers(network), shapes, ALLOWED_OPERATORS["float32"])


def export_module(
    module: nn.Module,
    example: Mapping[str, torch.Tensor],
    layers: Sequence[Layer],
    dynamic_shapes: tuple[dict[int, Any], ...],
    operators: frozenset[str],
) -> onnx.ModelProto:
    """Export a module in float32, with weights inline.

    Args:
        module: Returns the layers.
        example: Its inputs by name, in order.
        layers: Its outputs.
        dynamic_shapes: For each input the dimensions that vary.
        operators: Those that the graph may contain.

    Raises:
        EncoderError: The exporter used another operator.
    """
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
