"""Graphs of distances: as many atoms as a network can tell apart, and the outputs of all of them."""

from collections.abc import Iterable
from dataclasses import fields

import numpy as np
import pytest
from sample_crystals import (
    caesium_chloride,
    diamond,
    fcc,
    fcc_primitive,
    handmade,
    hcp,
    isolated_atom,
    jiggled,
    mirrored,
    perovskite,
    rock_salt,
    rotated,
    shuffled,
    supercell,
    translated,
    water_in_a_box,
)

from matlake.materials.crystal import Crystal, CrystalColumns
from matlake.materials.graph_recipe import SYMMETRY_RESOLUTION_A, GraphRecipe
from matlake.materials.neighbours import neighbour_list
from matlake.materials.pair_graphs import PairGraphs, build_pair_graphs

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from graph_networks import outputs, randomised, worst_difference  # noqa: E402 - after the skip

from matlake.networks.batches import pair_batch  # noqa: E402
from matlake.networks.cgcnn import CGCNN  # noqa: E402
from matlake.networks.schnet import SchNet  # noqa: E402

RECIPES = {
    "cgcnn": GraphRecipe("pairs", 8.0, 12, blocks=3),
    "schnet": GraphRecipe("pairs", 6.0, 24, blocks=3),
    "schnet, all neighbours": GraphRecipe("pairs", 5.0, 0, blocks=3),
}
RESOLUTIONS = [1e-6, SYMMETRY_RESOLUTION_A]


def network_of(name: str) -> torch.nn.Module:
    torch.manual_seed(1)
    if name == "cgcnn":
        return randomised(CGCNN(atom_width=16, convolutions=3, hidden_width=16, cutoff=8.0))
    sizes = {"hidden_channels": 16, "num_filters": 16, "num_interactions": 3, "num_gaussians": 20}
    return randomised(SchNet(**sizes, cutoff=RECIPES[name].cutoff_A))


@pytest.fixture(params=RECIPES)
def name(request) -> str:
    return request.param


def build(crystals: Iterable[Crystal], recipe: GraphRecipe, resolution: float = SYMMETRY_RESOLUTION_A) -> PairGraphs:
    return recipe.build(CrystalColumns.of(list(crystals)), resolution=resolution)


def classes(crystal: Crystal, recipe: GraphRecipe) -> list[tuple]:
    """What the graph of a crystal says, in an order of its own: element, weight and neighbourhood of each atom."""
    graphs = build([crystal], recipe)
    described = []
    for atom in range(len(graphs.numbers)):
        edges = slice(graphs.edge_offsets[atom], graphs.edge_offsets[atom + 1])
        elements = graphs.numbers[graphs.neighbours[edges]].tolist()
        distances, counts = graphs.distances[edges].round(4).tolist(), graphs.counts[edges].round(6).tolist()
        neighbourhood = tuple(sorted(zip(distances, elements, counts, strict=True)))
        described.append((int(graphs.numbers[atom]), round(float(graphs.weights[atom]), 9), neighbourhood))
    return sorted(described)


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_distinct_atoms_give_what_all_atoms_give_on_real_crystals(real_crystals, name, resolution) -> None:
    crystals = real_crystals[::6]
    network = network_of(name)
    reduced, full = build(crystals, RECIPES[name], resolution), build(crystals, RECIPES[name], 0.0)
    assert len(reduced.numbers) < 0.6 * len(full.numbers)
    difference = worst_difference(outputs(network, pair_batch, full), outputs(network, pair_batch, reduced))
    assert difference <= 1e-5


def test_distinct_atoms_give_what_all_atoms_give_on_handmade_crystals(name) -> None:
    network = network_of(name)
    for crystals, tolerance in (
        (handmade().values(), 1e-10),  # symmetric to the last digit
        ([jiggled(crystal, 0.05) for crystal in handmade().values()], 1e-5),
    ):
        full, reduced = build(crystals, RECIPES[name], 0.0), build(crystals, RECIPES[name])
        difference = worst_difference(outputs(network, pair_batch, full), outputs(network, pair_batch, reduced))
        assert difference <= tolerance


def test_a_graph_of_all_atoms_is_the_neighbour_list(real_crystals) -> None:
    crystals = [*real_crystals[::40], isolated_atom(), water_in_a_box()]
    graphs = build_pair_graphs(CrystalColumns.of(crystals), 5.0, 12)
    assert graphs.atom_offsets[-1] == sum(len(crystal.numbers) for crystal in crystals)
    for k, crystal in enumerate(crystals):
        found = neighbour_list(crystal, 5.0, 12)
        atoms = slice(graphs.atom_offsets[k], graphs.atom_offsets[k + 1])
        edges = slice(graphs.edge_offsets[atoms.start], graphs.edge_offsets[atoms.stop])
        np.testing.assert_array_equal(graphs.numbers[atoms], crystal.numbers)
        np.testing.assert_array_equal(graphs.weights[atoms], 1 / len(crystal.numbers))
        np.testing.assert_array_equal(graphs.neighbours[edges] - atoms.start, found.neighbours)
        np.testing.assert_array_equal(graphs.distances[edges], found.distances)
        np.testing.assert_array_equal(graphs.counts[edges], found.weights)
        np.testing.assert_array_equal(graphs.edge_offsets[atoms] - edges.start, found.first[:-1])


@pytest.mark.parametrize(
    ("crystal", "atoms"),
    [
        (rock_salt(), 2),
        (diamond(), 1),
        (perovskite(), 3),
        (hcp(), 1),
        (hcp(1.6), 1),
        (fcc(), 1),
        (caesium_chloride(), 2),
    ],
)
def test_one_atom_stands_for_all_its_equals(crystal, atoms) -> None:
    for cell in (crystal, supercell(crystal, 2 * np.eye(3)), shuffled(translated(crystal))):
        graphs = build([cell], RECIPES["schnet"])
        assert len(graphs.numbers) == atoms
        assert graphs.weights.sum() == pytest.approx(1.0)


def test_weights_and_counts_are_those_of_the_crystal(real_crystals, name) -> None:
    recipe = RECIPES[name]
    reduced, full = build(real_crystals, recipe), build(real_crystals, recipe, 0.0)
    for graphs in (reduced, full):
        assert len(graphs) == len(real_crystals)
        np.testing.assert_allclose(np.add.reduceat(graphs.weights, graphs.atom_offsets[:-1]), 1.0)
    neighbours = [
        np.bincount(np.repeat(np.arange(len(g.numbers)), np.diff(g.edge_offsets)), g.counts, len(g.numbers)) * g.weights
        for g in (reduced, full)
    ]
    means = [np.add.reduceat(n, g.atom_offsets[:-1]) for n, g in zip(neighbours, (reduced, full), strict=True)]
    np.testing.assert_allclose(means[0], means[1], rtol=1e-9)


@pytest.mark.parametrize("crystal", handmade().values(), ids=handmade())
def test_the_description_of_a_crystal_changes_neither_classes_nor_weights(crystal, name) -> None:
    recipe = RECIPES[name]
    expected = classes(crystal, recipe)
    again = [shuffled(crystal), translated(crystal), rotated(crystal), mirrored(crystal)]
    if len(crystal.numbers) < 20:
        again += [supercell(crystal, matrix) for matrix in (2 * np.eye(3), [[1, 1, 0], [-1, 1, 0], [0, 2, 1]])]
    for cell in [*again, shuffled(again[-1]), translated(again[-1])]:
        assert classes(cell, recipe) == expected


def test_primitive_and_conventional_cells_have_the_same_graph(name) -> None:
    assert classes(fcc_primitive(), RECIPES[name]) == classes(fcc(), RECIPES[name])


def test_real_crystals_have_the_same_classes_in_every_description(real_crystals, name) -> None:
    crystals = real_crystals[1::16]
    network = network_of(name)
    graphs = build(crystals, RECIPES[name])
    expected = outputs(network, pair_batch, graphs)
    ways = [shuffled, translated, rotated, mirrored, lambda crystal: supercell(crystal, np.diag([1, 2, 1]))]
    for way in ways:
        again = build([way(crystal) for crystal in crystals], RECIPES[name])
        unequal = np.diff(again.atom_offsets) != np.diff(graphs.atom_offsets)
        assert unequal.mean() <= 0.01  # where data hold differences of just the resolution, rounding decides
        assert worst_difference(expected, outputs(network, pair_batch, again)) <= 1e-5


def test_a_graph_does_not_depend_on_its_neighbours_in_the_batch(real_crystals, name) -> None:
    crystals = [*real_crystals[::20], isolated_atom(), rock_salt()]
    together = build(crystals, RECIPES[name])
    for k, crystal in enumerate(crystals):
        assert_same(together.take(np.array([k])), build([crystal], RECIPES[name]))


def test_taking_graphs_is_building_from_the_taken_crystals(real_crystals, name) -> None:
    columns = CrystalColumns.of([*real_crystals[:40], isolated_atom(), water_in_a_box()])
    graphs = RECIPES[name].build(columns)
    for rows in ([3, 41, 0, 40, 3, 17], list(range(42)), [40], []):
        taken = np.array(rows, dtype=np.int64)
        assert_same(graphs.take(taken), RECIPES[name].build(columns.take(taken)))


def test_columns_read_from_arrow_give_the_same_graphs(real_crystals, name) -> None:
    columns = CrystalColumns.of(real_crystals[:20])
    assert_same(RECIPES[name].build(columns), RECIPES[name].build(CrystalColumns.from_arrow(columns.to_arrow())))


def test_no_crystals_are_no_graphs() -> None:
    graphs = build([], RECIPES["cgcnn"])
    assert len(graphs) == len(graphs.numbers) == len(graphs.distances) == len(graphs.edges) == 0


def test_an_atom_without_neighbours_is_an_atom_without_edges(name) -> None:
    graphs = build([isolated_atom(), isolated_atom()], RECIPES[name])
    assert graphs.numbers.tolist() == [18, 18]
    assert graphs.weights.tolist() == [1.0, 1.0]
    assert graphs.edges.tolist() == [0, 0]


def test_more_rounds_tell_more_atoms_apart() -> None:
    chain = [(0.1, 0.0, 0.0), (0.2, 0, 0), (0.3, 0, 0), (0.4, 0, 0), (0.5, 0, 0), (0.6, 0, 0), (0.7, 0, 0)]
    crystal = Crystal(np.full(7, 6, dtype=np.int16), np.diag([12.0, 20.0, 20.0]), np.array(chain))
    columns = CrystalColumns.of([crystal])
    counts = [len(build_pair_graphs(columns, 1.3, resolution=1e-6, rounds=n).numbers) for n in (1, 2, 3, 9)]
    assert counts == [2, 3, 4, 4]  # the ends first, then their neighbours, up to the middle; mirror images never


def assert_same(one: PairGraphs, other: PairGraphs) -> None:
    for field in fields(PairGraphs):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name), err_msg=field.name)
