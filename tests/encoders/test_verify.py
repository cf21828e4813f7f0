"""The contract of a composition encoder: kept by what is shipped, broken by what is damaged."""

import shutil
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from matlake.encoders.card import (
    CARD_FILE,
    MODEL_FILE,
    EncoderCard,
    InputKind,
    InputParameters,
    Layer,
    Precision,
    read_card,
    write_card,
)
from matlake.encoders.reference import reference_fractions
from matlake.encoders.registry import SHIPPED, list_encoders
from matlake.encoders.verify import batch_tolerance, verify_encoder
from matlake.files import sha256_of
from matlake.materials.periodic_table import ELEMNET_ELEMENTS


def toy_encoder(folder, nodes, dim=3) -> EncoderCard:
    """An encoder with one layer ``h`` made from ``fractions`` and ``w`` by the nodes."""
    weights = np.linspace(-1, 1, 86 * 3, dtype=np.float32).reshape(86, 3)
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("fractions", TensorProto.FLOAT, ["batch", 86])],
        [helper.make_tensor_value_info("h", TensorProto.FLOAT, ["batch", 3])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    folder.mkdir()
    onnx.save(model, folder / MODEL_FILE)
    card = EncoderCard(
        name="toy",
        version=1,
        architecture="toy",
        input=InputKind.COMPOSITION,
        layers=(Layer("1", "h", dim),),
        default_layer="1",
        sha256=sha256_of(folder / MODEL_FILE),
        precision=Precision.FLOAT32,
        parity_tolerance=1e-5,
        licence="none",
        input_parameters=InputParameters(ELEMNET_ELEMENTS),
    )
    write_card(card, folder)
    return card


def failing(folder) -> list[str]:
    return [check.name for check in verify_encoder(folder) if not check.passed]


@pytest.mark.parametrize("name", [encoder.card.name for encoder in list_encoders()])
def test_shipped_encoders_keep_the_contract(name) -> None:
    checks = verify_encoder(SHIPPED / name)
    assert len(checks) == {"composition": 12, "crystal": 16}[read_card(SHIPPED / name).input]
    assert not [check for check in checks if not check.passed]


def test_a_sound_encoder_passes(tmp_path) -> None:
    toy_encoder(tmp_path / "toy", [helper.make_node("MatMul", ["fractions", "w"], ["h"])])
    assert not failing(tmp_path / "toy")


def test_a_vector_that_depends_on_its_batch_is_found(tmp_path) -> None:
    nodes = [
        helper.make_node("MatMul", ["fractions", "w"], ["product"]),
        helper.make_node("ReduceMax", ["product"], ["largest"], keepdims=0),
        helper.make_node("Div", ["product", "largest"], ["h"]),
    ]
    toy_encoder(tmp_path / "toy", nodes)
    assert failing(tmp_path / "toy") == ["A vector does not depend on its batch"]


def test_a_wrong_dimension_is_found(tmp_path) -> None:
    toy_encoder(tmp_path / "toy", [helper.make_node("MatMul", ["fractions", "w"], ["h"])], dim=4)
    (check,) = verify_encoder(tmp_path / "toy")
    assert "the shape [64, 3], not 4 numbers a row" in check.detail


def test_vectors_that_are_not_finite_are_found(tmp_path) -> None:
    nodes = [
        helper.make_node("MatMul", ["fractions", "w"], ["product"]),
        helper.make_node("Sqrt", ["product"], ["h"]),
    ]
    toy_encoder(tmp_path / "toy", nodes)
    assert "All vectors of real compositions are finite" in failing(tmp_path / "toy")


def test_a_changed_file_fails_the_first_check_and_is_not_opened(tmp_path) -> None:
    toy_encoder(tmp_path / "toy", [helper.make_node("MatMul", ["fractions", "w"], ["h"])])
    with (tmp_path / "toy" / MODEL_FILE).open("ab") as file:
        file.write(b"\0")
    (check,) = verify_encoder(tmp_path / "toy")
    assert not check.passed
    assert "sha256" in check.detail


def test_a_custom_operator_fails_the_audit(tmp_path) -> None:
    card = toy_encoder(tmp_path / "toy", [helper.make_node("MatMul", ["fractions", "w"], ["h"])])
    model = onnx.load(tmp_path / "toy" / MODEL_FILE)
    model.graph.node[0].domain = "evil"
    onnx.save(model, tmp_path / "toy" / MODEL_FILE)
    write_card(replace(card, sha256=sha256_of(tmp_path / "toy" / MODEL_FILE)), tmp_path / "toy")
    (check,) = verify_encoder(tmp_path / "toy")
    assert "custom operator evil::MatMul" in check.detail


def test_a_missing_card_fails_the_first_check(tmp_path) -> None:
    toy_encoder(tmp_path / "toy", [helper.make_node("MatMul", ["fractions", "w"], ["h"])])
    shutil.move(tmp_path / "toy" / CARD_FILE, tmp_path / "card.json")
    (check,) = verify_encoder(tmp_path / "toy")
    assert "no encoder card" in check.detail


def test_reference_compositions_are_real_distinct_and_fixed() -> None:
    fractions = reference_fractions()
    assert len(fractions) > 1000
    assert len(np.unique(fractions, axis=0)) == len(fractions)
    np.testing.assert_allclose(fractions.sum(axis=1), 1, rtol=1e-6)
    with pytest.raises(ValueError, match="read-only"):
        fractions[0, 0] = 1


def test_batches_may_move_a_vector_less_than_precision_does() -> None:
    assert batch_tolerance(1e-5) == 1e-5
    assert batch_tolerance(5e-2) == pytest.approx(5e-3)
