"""A graph of another program and a card written by hand: sound ones are taken, of others the first fault is named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from own_graphs import (
    COMPOSITION_NODES,
    PAIR_INPUTS,
    PAIR_NODES,
    behind,
    changed,
    composition_card,
    composition_graph,
    node,
    pair_card,
    pair_graph,
    pair_recipe,
)

from matlake.encoders.card import CARD_FILE, LICENCE_FILE, MODEL_FILE, EncoderCard, Layer, read_card
from matlake.encoders.encoder import open_encoder
from matlake.encoders.reference import covered_materials
from matlake.encoders.registering import prepared
from matlake.encoders.written_cards import read_written
from matlake.errors import EncoderError
from matlake.materials.periodic_table import ELEMNET_ELEMENTS

SHIFT = [node("Cast", "same", "shift", to=1), node("Add", "inner shift", "pooled")]


def register(path: Path, card: dict[str, Any]) -> EncoderCard:
    with prepared(path, read_written(card)) as found:
        assert read_card(found.folder) == found.card
        assert (found.folder / MODEL_FILE).read_bytes() == path.read_bytes()
        assert all(check.passed for check in found.checks)
        return found.card


def test_a_sound_graph_of_compositions_is_taken_and_its_card_filled_in(tmp_path: Path) -> None:
    card = register(composition_graph(tmp_path / "own.onnx"), composition_card())
    assert card.layers == (Layer("hidden", "hidden", 4),)
    assert card.default_layer == "hidden"
    assert card.input_parameters.elements == ELEMNET_ELEMENTS
    assert card.is_descriptor
    assert len(card.sha256) == 64
    assert card.tool_versions["onnx"] == onnx.__version__


def test_a_sound_graph_of_crystals_is_taken_with_few_elements_too(tmp_path: Path) -> None:
    scope = {"scope": {"database": "my relaxations", "properties": ["energy_eV_per_atom"], "until": "2025-06"}}
    graph = {"elements": ["Si", "O-F"], "graph": pair_recipe()}
    written = read_written(pair_card(training=scope, input_parameters=graph, layers={"mean": "pooled"}))
    with prepared(pair_graph(tmp_path / "own.onnx"), written) as found:
        crystals, card = covered_materials(open_encoder(found.folder)), found.card
    assert set(crystals.numbers.tolist()) == {8, 9, 14}
    assert card.layers == (Layer("mean", "pooled", 4),)
    assert card.input_parameters.elements == ("Si", "O", "F")
    assert card.trained_on == ("energy_eV_per_atom",)


REFUSED_BY_THE_CONTRACT: dict[str, tuple[list[onnx.NodeProto], str]] = {
    "another vector in a batch of 17": (
        behind(
            PAIR_NODES,
            "pooled",
            node("Shape", "pool", "size", end=1),
            node("Equal", "size seventeen", "same"),
            *SHIFT,
        ),
        "A vector does not depend on its batch: in a batch of 17: largest relative difference",
    ),
    "the width of the tables": (
        behind(
            PAIR_NODES,
            "pooled",
            node("Shape", "counts", "size", start=1),
            node("Cast", "size", "shift", to=1),
            SHIFT[1],
        ),
        "A vector does not depend on its batch",
    ),
    "padding that counts": (
        changed(PAIR_NODES, "counted", node("Identity", "decay", "counted")),
        "A vector does not depend on its batch",
    ),
    "atoms that weigh alike": (
        changed(
            PAIR_NODES,
            "pooled",
            node("Sign", "pool", "members"),
            node("ReduceSum", "members one", "many"),
            node("Div", "members many", "mean"),
            node("MatMul", "mean updated", "pooled"),
        ),
        "Symmetry-distinct atoms give what all atoms give",
    ),
}


@pytest.mark.parametrize("name", REFUSED_BY_THE_CONTRACT)
def test_a_graph_of_crystals_that_breaks_the_contract_is_refused_with_the_clause(tmp_path: Path, name: str) -> None:
    nodes, reason = REFUSED_BY_THE_CONTRACT[name]
    path = pair_graph(tmp_path / "own.onnx", nodes)
    with pytest.raises(EncoderError, match=f"own.onnx breaks the contract of encoders: {reason}"):
        register(path, pair_card())


def test_elements_that_the_graph_has_no_place_for_are_named(tmp_path: Path) -> None:
    path = pair_graph(tmp_path / "own.onnx", elements=51)
    with pytest.raises(EncoderError, match=r"Every element of the card has a finite vector: element Sb: .*indices"):
        register(path, pair_card())
    graph = {"elements": ["H-Sn"], "graph": pair_recipe()}
    assert register(path, pair_card(input_parameters=graph)).input_parameters.elements[-1] == "Sn"


HOSTILE_COMPOSITIONS: dict[str, tuple[list[onnx.NodeProto], str]] = {
    "not finite": (
        behind(COMPOSITION_NODES, "hidden", node("Log", "inner", "hidden")),
        "Every element of the card has a finite vector: element .*not finite",
    ),
    "drawn at random": (
        behind(
            COMPOSITION_NODES,
            "hidden",
            node("RandomNormalLike", "inner", "noise", scale=1e-7),
            node("Add", "inner noise", "hidden"),
        ),
        "The graph has no operator that is slow, .*: RandomNormalLike",
    ),
    "the same for all": (
        behind(COMPOSITION_NODES, "hidden", node("Sub", "inner inner", "hidden")),
        "Different materials have different vectors: layer hidden has one vector for all",
    ),
    "divided by the largest of the batch": (
        behind(
            COMPOSITION_NODES,
            "hidden",
            node("ReduceMax", "inner", "largest", keepdims=0),
            node("Div", "inner largest", "hidden"),
        ),
        "A vector does not depend on its batch: in a batch of 1: ",
    ),
    "from 33 on": (
        behind(
            COMPOSITION_NODES,
            "hidden",
            node("Shape", "fractions", "size", end=1),
            node("Add", "seventeen seventeen", "many"),
            node("Less", "many size", "same"),
            node("Cast", "same", "shift", to=1),
            node("Add", "inner shift", "hidden"),
        ),
        "A vector does not depend on its batch: in a batch of ",
    ),
    "a scatter": (
        behind(
            COMPOSITION_NODES,
            "hidden",
            node("Cast", "inner", "whole", to=7),
            node("Sub", "whole whole", "places"),
            node("ScatterElements", "inner places inner", "hidden", axis=1, reduction="add"),
        ),
        "The graph has no operator that is slow, .*: ScatterElements",
    ),
}


@pytest.mark.parametrize("name", HOSTILE_COMPOSITIONS)
def test_a_graph_of_compositions_that_breaks_the_contract_is_refused(tmp_path: Path, name: str) -> None:
    nodes, reason = HOSTILE_COMPOSITIONS[name]
    with pytest.raises(EncoderError, match=f"breaks the contract of encoders: {reason}"):
        register(composition_graph(tmp_path / "own.onnx", nodes), composition_card())


def edited(path: Path, change: Callable[[onnx.ModelProto], Any]) -> Path:
    model = onnx.load(path)
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def with_loop(path: Path) -> Path:
    return edited(path, lambda model: setattr(model.graph.node[0], "op_type", "Loop"))


def external(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    onnx.external_data_helper.set_external_data(tensor, "/etc/passwd")
    tensor.ClearField("raw_data")


def emptied(path: Path) -> Path:
    path.write_bytes(b"")
    return path


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in PAIR_INPUTS.items() if key != name}


PAIRS = "graphs of kind pairs have the inputs numbers, lengths, neighbours, length_index, counts, pool"
REFUSED_GRAPHS: dict[str, tuple[Callable[[Path], Path], dict[str, Any], str]] = {
    "an unknown input": (
        lambda path: pair_graph(path, inputs={**PAIR_INPUTS, "edge_index": (7, ["edges"])}),
        pair_card(),
        f"own.onnx takes the input 'edge_index', which nothing makes: {PAIRS}",
    ),
    "a missing input": (
        lambda path: pair_graph(
            path, changed(PAIR_NODES, "counted", node("Identity", "decay", "counted")), inputs=without("counts")
        ),
        pair_card(),
        f"own.onnx does not take the input 'counts': {PAIRS}",
    ),
    "an input of another kind": (
        lambda path: composition_graph(path, inputs={"x": (1, ["batch", 86])}),
        composition_card(),
        "takes the input 'x', which nothing makes: encoders of compositions have the inputs fractions",
    ),
    "another dtype": (
        lambda path: pair_graph(path, inputs={**PAIR_INPUTS, "numbers": (6, ["atoms"])}),
        pair_card(),
        "input 'numbers' of .* is int32, and matlake gives int64",
    ),
    "another number of axes": (
        lambda path: pair_graph(path, inputs={**PAIR_INPUTS, "pool": (1, ["crystals", "atoms", 1])}),
        pair_card(),
        "input 'pool' of .* has 3 axes, and matlake gives 2: crystals, atoms",
    ),
    "a fixed batch": (
        lambda path: pair_graph(path, inputs={**PAIR_INPUTS, "pool": (1, [3, "atoms"])}),
        pair_card(),
        "axis 'crystals' of input 'pool' of .* is 3 in the graph, and matlake gives any number of",
    ),
    "other elements": (
        lambda path: composition_graph(path, inputs={"fractions": (1, ["batch", 103])}),
        composition_card(),
        "axis '86' of input 'fractions' of .* is 103 in the graph, and matlake gives 86",
    ),
    "a vector for each atom": (
        lambda path: pair_graph(
            path, [*PAIR_NODES[:-1], node("MatMul", "pool updated", "unused"), node("Neg", "updated", "pooled")]
        ),
        pair_card(),
        r"output 'pooled' of .* has the shape \[.*, 4\] for .* crystals: its first axis is not the one along which",
    ),
    "one vector for the whole batch": (
        lambda path: pair_graph(
            path, behind(PAIR_NODES, "pooled", node("ReduceMean", "inner zero", "pooled")), outputs={"pooled": [1, 4]}
        ),
        pair_card(),
        r"output 'pooled' of .* has the shape \[1, 4\] for 2 crystals",
    ),
    "more outputs than layers": (
        lambda path: composition_graph(path, outputs={"hidden": ["batch", 4], "product": ["batch", 4]}),
        composition_card(layers={"1": "hidden"}),
        r"has 2 outputs \(hidden, product\), and the card names no layer for output 'product'",
    ),
    "fewer outputs than layers": (
        composition_graph,
        composition_card(layers={"1": "hidden", "2": "deeper"}, default_layer="1"),
        r"has 1 outputs \(hidden\), and the card names output 'deeper', which it lacks",
    ),
    "other dimensions": (
        composition_graph,
        composition_card(layers=[{"name": "1", "output": "hidden", "dim": 64}]),
        "layer 1 has 64 numbers on the card, and 4 as output 'hidden' of",
    ),
    "several layers and no default": (
        lambda path: composition_graph(path, outputs={"hidden": ["batch", 4], "product": ["batch", 4]}),
        composition_card(),
        "the card names no default_layer, and there are hidden, product",
    ),
    "another file": (composition_graph, composition_card(sha256="0" * 64), "the card states the sha256 0+, and .* has"),
    "control flow": (
        lambda path: with_loop(composition_graph(path)),
        composition_card(),
        "own.onnx is refused: it uses the operator Loop",
    ),
    "a custom operator": (
        lambda path: edited(composition_graph(path), lambda model: setattr(model.graph.node[0], "domain", "evil")),
        composition_card(),
        "own.onnx is refused: it uses the custom operator evil::MatMul",
    ),
    "weights in another file": (
        lambda path: edited(composition_graph(path), external),
        composition_card(),
        "own.onnx is refused: it keeps tensor 'dense' in another file",
    ),
    "an empty file": (emptied, composition_card(), "own.onnx is not an ONNX file, or an empty one"),
    "no file": (lambda path: path, composition_card(), "cannot read .*own.onnx: No such file"),
    "a folder": (lambda path: path.parent, composition_card(), "cannot read .*: Is a directory"),
}


@pytest.mark.parametrize("name", REFUSED_GRAPHS)
def test_a_graph_that_is_not_what_its_card_says_is_refused_at_the_first_fault(tmp_path: Path, name: str) -> None:
    write, card, reason = REFUSED_GRAPHS[name]
    with pytest.raises(EncoderError, match=reason):
        register(write(tmp_path / "own.onnx"), card)


def graph(**entries: Any) -> dict[str, Any]:
    return pair_card(input_parameters={"elements": ["H-Pu"], "graph": entries})


REFUSED_CARDS: list[tuple[dict[str, Any], str]] = [
    ({}, "lacks the fields architecture, input, licence, training"),
    (composition_card(layer="1"), "has the unknown fields layer"),
    (composition_card(input="surface"), "'surface' is not a valid InputKind"),
    (composition_card(licence=" "), "licence is not stated"),
    (composition_card(name=None), "the card does not name the encoder"),
    (composition_card(name="Mine/../x"), "is not an encoder name"),
    (composition_card(citation="one"), "citation is str, not list"),
    (composition_card(parity_tolerance=1e9), "parity_tolerance is 1e[+]09, not above 0 and up to 0.05"),
    (composition_card(parity_tolerance=float("nan")), "parity_tolerance is nan"),
    (composition_card(version=0), "version is 0, and counts from 1"),
    (composition_card(training="much"), 'training is neither "nothing" nor an object'),
    (composition_card(training={}), "training does not say what was learned from"),
    (composition_card(training={"scop": {}}), "training has the unknown entry 'scop'"),
    (composition_card(training={"scope": {"database": "MP"}}), "TrainingScope lacks the fields properties"),
    (
        composition_card(training={"scope": {"database": "MP", "properties": ["x_eV"], "until": "soon"}}),
        "until in scope is not a day, month or year",
    ),
    (
        composition_card(architecture="magpie", training={"scope": {"database": "a", "properties": []}}),
        "is a descriptor",
    ),
    (composition_card(layers={}), "layers are neither"),
    (composition_card(layers={"all": "hidden"}), "'all' cannot name a layer"),
    (composition_card(layers={"a,b": "hidden"}), "'a,b' cannot name a layer"),
    (composition_card(layers={"1": "h", "2": "h"}), "two layers have the output 'h'"),
    (composition_card(layers={"a": "h", "A": "g"}), "two layers have the name 'a', capitals aside"),
    (composition_card(layers={"1": "hidden"}, default_layer="2"), "default_layer is '2', and the layers are 1"),
    (composition_card(input_parameters={"elements": ["H", "He"]}), "these are not from He on"),
    (composition_card(input_parameters={"graph": pair_recipe()}), "an encoder of compositions has no graph"),
    (composition_card(input_parameters={"cutoff": 5}), "input_parameters has the unknown entry 'cutoff'"),
    (composition_card(format_version=99), "format_version 99, newer than"),
    (composition_card(digest="0"), "does not match its digest"),
    (pair_card(input_parameters={"graph": pair_recipe()}), "lacks the elements that the graph takes"),
    (pair_card(input_parameters={"elements": ["H-Pu"]}), 'lacks "graph"'),
    (pair_card(input_parameters={"elements": ["Xx"], "graph": pair_recipe()}), "'Xx' among the elements is none"),
    (pair_card(input_parameters={"elements": ["Pu-H"], "graph": pair_recipe()}), "Pu comes after H"),
    (pair_card(input_parameters={"elements": ["H", "H-C"], "graph": pair_recipe()}), "element H is named twice"),
    (graph(**pair_recipe(kind="stars")), "graphs of kind 'stars' on the card are not known"),
    (
        graph(**pair_recipe(package="star-graphs", kind="stars")),
        "made by the package star-graphs: no installed package",
    ),
    (graph(**pair_recipe(cutoff_A=200.0)), "out of range"),
    (graph(**pair_recipe(cutoff_A="5")), "is not the card of an encoder"),
    (graph(**pair_recipe(blocks=10**9)), "out of range"),
    (graph(**pair_recipe(degrees=-1)), "out of range"),
    (graph(**pair_recipe(max_neighbours=1.5)), "max_neighbours is float, not int"),
    (graph(kind="pairs", cutoff_A=5.0), "missing 2 required positional arguments"),
    (graph(**pair_recipe(options={"power": 2})), "graphs of kind 'pairs' have no options"),
]


@pytest.mark.parametrize(("card", "reason"), REFUSED_CARDS)
def test_a_card_that_lacks_something_or_says_something_else_is_refused(card: dict[str, Any], reason: str) -> None:
    with pytest.raises(EncoderError if "package" not in reason else Exception, match=reason):
        read_written(card)


def test_a_card_is_read_from_a_file_and_its_name_can_be_given_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "card.json"
    path.write_text('{"architecture": "mine", "input": "composition", "licence": "MIT", "training": "nothing"}')
    assert read_written(path, "mine").name == "mine"
    for content, reason in (("", "is not the card"), ("[1]", "not a JSON object"), ("[" * 100_000, "too deep")):
        path.write_text(content)
        with pytest.raises(EncoderError, match=reason):
            read_written(path)
    with pytest.raises(EncoderError, match=r"cannot read .*: No such file"):
        read_written(tmp_path / "none.json")


def test_a_card_in_python_may_hold_what_json_has_no_word_for() -> None:
    card = read_written(
        composition_card(citation=("one", "another"), layers={1: "hidden", 2: "deeper"}, default_layer="2")
    )
    assert card.citation == ("one", "another")
    assert [layer.name for layer in card.layers] == ["1", "2"]
    with pytest.raises(EncoderError, match=r"the card is not the card of an encoder: .*Path is not JSON"):
        read_written(composition_card(licence=Path("LICENSE")))


def test_an_encoder_that_matlake_wrote_can_be_registered_again(tmp_path: Path) -> None:
    path = composition_graph(tmp_path / "own.onnx")
    (tmp_path / LICENCE_FILE).write_text("Of the program, not of the weights.")
    with prepared(path, read_written(composition_card())) as found:
        assert {file.name for file in found.folder.iterdir()} == {CARD_FILE, MODEL_FILE}
        (found.folder / LICENCE_FILE).write_text("Use it well.")
        again = read_written(found.folder / CARD_FILE, "other")
        with prepared(found.folder / MODEL_FILE, again) as copied:
            assert (copied.folder / LICENCE_FILE).read_text() == "Use it well."
    assert again.sha256 == found.card.sha256
    assert again.layers == found.card.layers
    assert np.isclose(again.parity_tolerance, found.card.parity_tolerance)
