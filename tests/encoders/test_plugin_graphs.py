"""Kinds of graphs of other packages: encoders use them, cards name their package, and one that is missing is named."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from own_graphs import pair_card, pair_graph
from plugin_packages import add_package, on_the_path

import matlake
from matlake.diagnosis.checks import State
from matlake.diagnosis.plugins import check_plugins
from matlake.encoders.encoder import open_encoder
from matlake.encoders.reference import reference_crystals
from matlake.encoders.verify import verify_encoder
from matlake.errors import EncoderError, PluginError
from matlake.materials import graph_recipe
from matlake.materials.graph_recipe import GraphRecipe
from matlake.networks.architectures import find_architecture

CODE = """
from dataclasses import replace
from matlake.encoders.padded import pairs
from matlake.materials.graph_kinds import GraphKind
from matlake.materials.pair_graphs import build_pair_graphs
from matlake.networks.architectures import ARCHITECTURES

def build(recipe, crystals, resolution):
    graphs = build_pair_graphs(crystals, recipe.cutoff_A, recipe.max_neighbours, resolution=resolution)
    return replace(graphs, distances=recipe.option("scale") * graphs.distances)

SCALED = GraphKind("scaled", build, pairs.pair_inputs, pairs.AXES, ("scale",), "matlake.networks.batches:pair_batch")
PAIRS = replace(SCALED, name="pairs")
BARE = replace(SCALED, name="bare", axes={})
NUMBER = 7
MINE = replace(ARCHITECTURES["cgcnn"], name="mine", kind="scaled")
LOST = replace(ARCHITECTURES["cgcnn"], name="lost", kind="unheard-of")
"""
GRAPHS = {"scaled": "SCALED", "pairs": "PAIRS", "bare": "BARE", "number": "NUMBER"}


@pytest.fixture
def packages(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "packages"
    folder.mkdir()
    graph_recipe._plugin.cache_clear()
    networks = {"mine": "MINE", "lost": "LOST"}
    add_package(folder, "scaled-graphs", CODE, {"matlake.graphs": GRAPHS, "matlake.encoders": networks})
    yield folder
    graph_recipe._plugin.cache_clear()


def recipe(**changed: object) -> dict[str, object]:
    return {"kind": "scaled", "cutoff_A": 5.0, "max_neighbours": 12, "blocks": 1, "options": {"scale": 0.5}} | changed


def card(**changed: object) -> dict[str, object]:
    return pair_card(name="scaled-pairs", input_parameters={"elements": ["H-Pu"], "graph": recipe(**changed)})


def test_an_encoder_uses_them_and_says_what_is_missing_without_the_package(tmp_path: Path, packages: Path) -> None:
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    graph, crystals = pair_graph(tmp_path / "own.onnx"), reference_crystals().take([0, 1, 2])
    with on_the_path(packages):
        registered = lake.encoders.register(graph, card()).registered
        written = json.loads((registered.folder / "card.json").read_text())["input_parameters"]["graph"]
        assert (written["package"], written["options"]) == ("scaled-graphs", {"scale": 0.5})
        plain = lake.encoders.register(graph, pair_card()).registered
        scaled, unscaled = (open_encoder(one.folder).encode(crystals) for one in (registered, plain))
        assert np.abs(scaled - unscaled).max() > 0.01
    graph_recipe._plugin.cache_clear()
    assert [one.card.name for one in lake.encoders.list() if "pairs" in one.card.name] == ["own-pairs", "scaled-pairs"]
    missing = (
        "graphs of kind 'scaled' are made by the package scaled-graphs: no installed package has the entry point "
        "'scaled' in the group matlake.graphs"
    )
    with pytest.raises(PluginError, match=missing) as caught:
        open_encoder(registered.folder)
    assert caught.value.hint == "pip install scaled-graphs"
    (check,) = verify_encoder(registered.folder)
    assert missing in check.detail


def test_a_card_states_the_options_of_the_kind_and_its_package(packages: Path) -> None:
    with on_the_path(packages):
        for options in ({}, {"scale": 1, "power": 2}):
            stated = GraphRecipe.from_card(recipe(options=options, package="scaled-graphs"))
            with pytest.raises(PluginError, match="graphs of kind scaled have the options scale, and the card states"):
                stated.build(reference_crystals())
        with pytest.raises(EncoderError, match="could not convert"):
            GraphRecipe.from_card(recipe(options={"scale": "much"}, package="scaled-graphs"))
        with pytest.raises(
            PluginError, match="made by the package of-others, and here scaled-graphs has the entry point"
        ):
            _ = GraphRecipe.from_card(recipe(package="of-others")).plugin
    with pytest.raises(EncoderError, match="graphs of kind 'scaled' on the card are not known") as caught:
        GraphRecipe.from_card(recipe())
    assert "the card names the package" in caught.value.hint


def test_faults_are_found_by_doctor(packages: Path) -> None:
    with on_the_path(packages):
        found = {check.name: check for check in check_plugins()}
    assert found["plug-in scaled"].state is State.OK
    assert found["plug-in scaled"].found == "kind of graphs of scaled-graphs 1.0 (matlake.graphs)"
    assert "matlake itself has one of this name" in found["plug-in pairs"].found
    assert "its axes name no input" in found["plug-in bare"].found
    assert "it is of type int, not matlake.materials.graph_kinds.GraphKind" in found["plug-in number"].found


def test_networks_of_other_packages_may_take_them(packages: Path) -> None:
    with on_the_path(packages):
        network = type("Network", (), {"convs": [1, 2], "scale": 2.0})()
        made = find_architecture("mine").recipe(network, 6.0, 12)
        assert (made.package, made.blocks, made.option("scale")) == ("scaled-graphs", 2, 2.0)
        with pytest.raises(PluginError, match="'unheard-of' is none of them"):
            find_architecture("lost")
        torch = pytest.importorskip("torch", reason="needs the extra 'train'")
        batch = find_architecture("mine").batch(made.build(reference_crystals().take([0])))
        assert isinstance(batch.distances, torch.Tensor)
