import dataclasses
import hashlib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest
from edited_cards import edit_card
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from matlake.encoders.card import CARD_FILE, MODEL_FILE, read_card, write_card
from matlake.encoders.encoder import open_encoder
from matlake.encoders.registry import find_encoder
from matlake.errors import EncoderError
from matlake.materials.compositions import element_fractions
from matlake.materials.formula import parse_formula
from matlake.regress.regressors.elemnet_numpy import Layers, ReluNetwork, activations
from matlake.regress.regressors.pretrained_layers import read_source_layers

ELEMNET = "elemnet-oqmd-formation-energy"


@pytest.fixture(scope="module")
def fractions(gaps: Path) -> NDArray[np.float32]:
    """Element fractions [307, 86] of measured materials."""
    return element_fractions([parse_formula(text) for text in pq.read_table(gaps)["formula"].to_pylist()])


@pytest.fixture(scope="module")
def layers() -> Layers:
    return read_source_layers(find_encoder(ELEMNET).folder)


@pytest.fixture
def changed(tmp_path: Path) -> Callable[[Callable[[onnx.GraphProto], None]], Path]:
    """Change the graph of the shipped ElemNet, and give the folder of what comes of it, with a card that fits."""

    def change(edit: Callable[[onnx.GraphProto], None]) -> Path:
        folder = find_encoder(ELEMNET).folder
        model = onnx.load(folder / MODEL_FILE)
        edit(model.graph)
        content = model.SerializeToString()
        (tmp_path / MODEL_FILE).write_bytes(content)
        card = dataclasses.replace(read_card(folder), sha256=hashlib.sha256(content).hexdigest())
        write_card(card, tmp_path)
        return tmp_path

    return change


def test_an_elemnet_has_sixteen_hidden_layers_and_an_output(layers: Layers) -> None:
    widths = [86, *[1024] * 4, *[512] * 3, *[256] * 3, *[128] * 3, *[64] * 2, 32, 1]
    assert [weights.shape for weights, _ in layers] == list(pairwise(widths))
    assert all(weights.dtype == biases.dtype == np.float32 for weights, biases in layers)
    assert sum(weights.size + biases.size for weights, biases in layers) == 4_631_361


@pytest.mark.parametrize("layer", [1, 4, 16])
def test_what_is_read_computes_what_the_encoder_does(
    layer: int, layers: Layers, fractions: NDArray[np.float32]
) -> None:
    wanted = open_encoder(find_encoder(ELEMNET).folder).encode(fractions, str(layer))
    found = np.maximum(activations(layers[:layer], fractions), 0.0)
    assert found == pytest.approx(wanted, abs=1e-5 * float(wanted.max()))


def test_the_output_is_the_encoders_prediction(layers: Layers, fractions: NDArray[np.float32]) -> None:
    wanted = open_encoder(find_encoder(ELEMNET).folder).encode(fractions, "prediction")[:, 0]
    assert ReluNetwork(layers).predict(fractions) == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (f"{ELEMNET}-int8", "quantised to int8"),
        ("fractions", "Identity follows fractions"),
        ("magpie", "it takes fractions, charge_neutral"),
        ("cgcnn-mp-formation-energy", "not a plain chain of dense layers"),
    ],
)
def test_encoders_whose_weights_are_no_start_are_refused(name: str, reason: str) -> None:
    with pytest.raises(EncoderError, match=reason) as caught:
        read_source_layers(find_encoder(name).folder)
    assert name in str(caught.value)
    assert caught.value.hint


def test_a_graph_that_only_looks_like_a_chain_is_refused(
    changed: Callable[[Callable[[onnx.GraphProto], None]], Path],
) -> None:
    def other_activation(graph: onnx.GraphProto) -> None:
        next(node for node in graph.node if node.op_type == "Relu").op_type = "Sigmoid"

    def no_activation(graph: onnx.GraphProto) -> None:
        next(node for node in graph.node if node.op_type == "Relu").op_type = "Identity"

    def shortcut(graph: onnx.GraphProto) -> None:
        [node for node in graph.node if node.op_type == "Gemm"][3].input[0] = "hidden_2"

    def doubled(graph: onnx.GraphProto) -> None:
        gemm = next(node for node in graph.node if node.op_type == "Gemm")
        next(a for a in gemm.attribute if a.name == "alpha").f = 2.0

    for edit in (other_activation, no_activation, shortcut, doubled):
        with pytest.raises(EncoderError, match="not a plain chain"):
            read_source_layers(changed(edit))


def test_weights_in_float32_and_untransposed_are_read_as_well(
    changed: Callable[[Callable[[onnx.GraphProto], None]], Path], layers: Layers, fractions: NDArray[np.float32]
) -> None:
    def plain(graph: onnx.GraphProto) -> None:
        first = next(node for node in graph.node if node.op_type == "Gemm")
        graph.initializer.append(numpy_helper.from_array(layers[0][0], "plain"))
        dense = helper.make_node("Gemm", [first.input[0], "plain", first.input[2]], [first.output[0]])
        first.CopyFrom(dense)

    assert np.array_equal(
        ReluNetwork(read_source_layers(changed(plain))).predict(fractions), ReluNetwork(layers).predict(fractions)
    )


def test_a_file_that_its_card_does_not_know_is_refused(
    changed: Callable[[Callable[[onnx.GraphProto], None]], Path],
) -> None:
    folder = changed(lambda graph: None)  # noqa: ARG005 - nothing is edited
    edit_card(folder / CARD_FILE, lambda card: card.update(sha256=card["sha256"][::-1]))
    with pytest.raises(EncoderError, match="does not match the sha256"):
        read_source_layers(folder)
