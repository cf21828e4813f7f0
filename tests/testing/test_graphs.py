"""The check of kinds of graphs: sound ones pass, and what breaks is named."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from matlake.encoders.padded import pairs
from matlake.materials.graph_kinds import GraphKind
from matlake.materials.graph_recipe import GraphRecipe
from matlake.materials.pair_graphs import PairGraphs, build_pair_graphs
from matlake.testing import check_graphs


def build(recipe: GraphRecipe, crystals: Any, resolution: float) -> PairGraphs:
    return build_pair_graphs(crystals, recipe.cutoff_A, recipe.max_neighbours, resolution=resolution)


SOUND = GraphKind("own", build, pairs.pair_inputs, pairs.AXES)


def test_a_sound_kind_passes() -> None:
    check_graphs(SOUND)
    check_graphs(SOUND, GraphRecipe("own", 4.0, 12, 1, package="mine"))


def drawn(recipe: GraphRecipe, crystals: Any, resolution: float) -> PairGraphs:
    graphs = build(recipe, crystals, resolution)
    return replace(graphs, distances=graphs.distances + np.random.default_rng().random())


def of_the_origin(recipe: GraphRecipe, crystals: Any, resolution: float) -> PairGraphs:
    """Lose the edges of atoms in the upper half of the cell."""
    del resolution
    graphs = build(recipe, crystals, 0.0)
    kept = np.repeat((crystals.positions % 1.0)[:, 0] < 0.5, np.diff(graphs.edge_offsets))
    offsets = np.concatenate([[0], np.cumsum(kept)])[graphs.edge_offsets]
    edges = {name: getattr(graphs, name)[kept] for name in ("neighbours", "distances", "counts")}
    return replace(graphs, edge_offsets=offsets, **edges)


def moving(recipe: GraphRecipe, crystals: Any, resolution: float) -> PairGraphs:
    graphs = build(recipe, crystals, resolution)
    crystals.positions[:] += 0.1
    return graphs


def with_inputs(change: Callable[[dict[str, Any]], Any]) -> GraphKind:
    def inputs(graphs: PairGraphs) -> dict[str, Any]:
        made = pairs.pair_inputs(graphs)
        change(made)
        return made

    return replace(SOUND, inputs=inputs)


BROKEN: dict[str, tuple[Any, str]] = {
    "not a kind": (7, "it is of type int, not a GraphKind"),
    "a name": (replace(SOUND, name="My Graphs"), "its name 'My Graphs' is not of lower-case letters"),
    "drawn at random": (replace(SOUND, build=drawn), "the same crystals have other graphs each time"),
    "crystals that change": (replace(SOUND, build=moving), "it changes crystals, which belongs to who calls it"),
    "of the origin": (replace(SOUND, build=of_the_origin), "the origin of the cell changes edges of"),
    "a missing input": (with_inputs(lambda made: made.pop("counts")), "it makes numbers, .*, and its axes are of"),
    "not finite": (
        with_inputs(lambda made: made.update(lengths=made["lengths"] * np.nan)),
        "input 'lengths' has values that are not finite",
    ),
    "objects": (
        with_inputs(lambda made: made.update(numbers=made["numbers"].astype(object))),
        "input 'numbers' is object, not one of float32",
    ),
    "too few axes": (
        with_inputs(lambda made: made.update(pool=made["pool"][0])),
        "input 'pool' has 1 axes, not crystals",
    ),
    "another size": (
        with_inputs(lambda made: made.update(counts=made["counts"][:-1])),
        "axis 'atoms' of input 'counts' is .*, and .* elsewhere",
    ),
    "no crystals": (
        replace(SOUND, axes={**pairs.AXES, "pool": ("rows", "atoms")}),
        "no input has the axis 'crystals': none can be pooled",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_breaks_is_named(name: str) -> None:
    kind, reason = BROKEN[name]
    with pytest.raises(AssertionError, match=reason):
        check_graphs(kind)
