"""Graphs of angles: the couplings are sums over triplets, and distinct messages give what all messages give."""

from collections.abc import Iterable
from dataclasses import fields, replace

import numpy as np
import pytest
from sample_crystals import (
    caesium_chloride,
    cubic,
    diamond,
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
from scipy.special import sph_harm_y

from matlake.materials.angular_graphs import AngularGraphs, build_angular_graphs
from matlake.materials.crystal import Crystal, CrystalColumns
from matlake.materials.graph_recipe import SYMMETRY_RESOLUTION_A, GraphRecipe
from matlake.materials.neighbours import neighbour_list

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from graph_networks import outputs, randomised, worst_difference  # noqa: E402 - after the skip

from matlake.networks.batches import angular_batch  # noqa: E402
from matlake.networks.dimenet import DimeNetPlusPlus  # noqa: E402

RECIPES = {
    "16 nearest": GraphRecipe("angles", 6.0, 16, blocks=2, degrees=7),
    "all": GraphRecipe("angles", 4.2, 0, blocks=2, degrees=7),
    "all, PyG's triplets": GraphRecipe("angles", 4.2, 0, blocks=2, degrees=7, keep_images=False),
}
RESOLUTIONS = [1e-6, SYMMETRY_RESOLUTION_A]


@pytest.fixture(params=RECIPES)
def recipe(request) -> GraphRecipe:
    return RECIPES[request.param]


def network_for(recipe: GraphRecipe) -> torch.nn.Module:
    torch.manual_seed(1)
    network = DimeNetPlusPlus(
        hidden_channels=16,
        num_blocks=recipe.blocks,
        int_emb_size=8,
        basis_emb_size=4,
        out_emb_channels=16,
        num_output_layers=2,
        num_spherical=recipe.degrees,
        cutoff=recipe.cutoff_A,
    )
    return randomised(network)


def build(crystals: Iterable[Crystal], recipe: GraphRecipe, resolution: float = SYMMETRY_RESOLUTION_A) -> AngularGraphs:
    return recipe.build(CrystalColumns.of(list(crystals)), resolution=resolution)


def classes(crystal: Crystal, recipe: GraphRecipe) -> tuple[list[tuple], list[tuple]]:
    """What the graph of a crystal says of atoms and messages, in an order of its own."""
    graphs = build([crystal], recipe)
    atoms, messages = [], []
    for atom, number in enumerate(graphs.numbers.tolist()):
        entries = slice(graphs.in_offsets[atom], graphs.in_offsets[atom + 1])
        distances = graphs.distances[graphs.incoming[entries]].round(4).tolist()
        counts = graphs.counts[entries].round(6).tolist()
        atoms.append(
            (number, round(float(graphs.weights[atom]), 9), tuple(sorted(zip(distances, counts, strict=True))))
        )
        out = slice(graphs.out_offsets[atom], graphs.out_offsets[atom + 1])
        ends = zip(graphs.distances[out].round(4).tolist(), graphs.numbers[graphs.targets[out]].tolist(), strict=True)
        messages += [(number, *end) for end in ends]
    return sorted(atoms), sorted(messages)


def brute_force(crystal: Crystal, cutoff: float, most: int, degrees: int, *, keep_images: bool) -> list[np.ndarray]:
    """Couplings [messages out, messages in, L] of each atom, as the definition says.

    Messages run k → j → i. The angle is that between r_j - r_k and r_i - r_j, as in PyTorch Geometric. The message of
    the same line backwards is left out; without images, every message out of an image of i is.
    """
    found = neighbour_list(crystal, cutoff, most)
    targets = np.repeat(np.arange(len(crystal.numbers)), np.diff(found.first))
    sources = found.neighbours
    where = crystal.positions @ crystal.lattice
    blocks = []
    for j in range(len(crystal.numbers)):
        out, into = np.flatnonzero(sources == j), np.flatnonzero(targets == j)
        block = np.zeros((len(out), len(into), degrees))
        for p, e in enumerate(out):
            i, to_j = targets[e], where[j] + found.shifts[e] @ crystal.lattice  # i in its cell, j in that of the edge
            for q, f in enumerate(into):
                k, to_k = sources[f], to_j + where[sources[f]] - where[j] + found.shifts[f] @ crystal.lattice
                is_i = k == i and (not keep_images or np.linalg.norm(to_k - where[i]) < 1e-6)
                if not is_i:
                    one, other = to_j - to_k, where[i] - to_j
                    cosine = one @ other / np.linalg.norm(one) / np.linalg.norm(other)
                    angle = np.arccos(np.clip(cosine, -1, 1))
                    block[p, q] = found.weights[f] * sph_harm_y(np.arange(degrees), 0, angle, 0).real
        blocks.append(block)
    return blocks


def blocks_of(graphs: AngularGraphs) -> list[np.ndarray]:
    shapes = zip(np.diff(graphs.out_offsets), np.diff(graphs.in_offsets), strict=True)
    parts = np.split(graphs.couplings, graphs.coupling_offsets[1:-1])
    return [part.reshape(*shape, graphs.degrees) for part, shape in zip(parts, shapes, strict=True)]


@pytest.mark.parametrize("keep_images", [True, False])
@pytest.mark.parametrize(
    ("crystal", "cutoff", "most"),
    [
        (cubic("Po", 3.35, [(0.1, 0.2, 0.3)]), 4.9, 0),
        (hcp(), 4.0, 0),
        (hcp(1.6), 6.0, 8),
        (caesium_chloride(), 6.0, 12),
        (perovskite(), 3.0, 0),
        (jiggled(perovskite(), 0.1), 6.0, 6),
        (translated(jiggled(caesium_chloride(), 0.1)), 4.5, 0),
        (water_in_a_box(), 4.0, 0),
    ],
)
def test_couplings_are_the_triplets_one_by_one(crystal, cutoff, most, keep_images) -> None:
    graphs = build_angular_graphs(CrystalColumns.of([crystal]), cutoff, most, keep_images=keep_images)
    expected = brute_force(crystal, cutoff, most, 7, keep_images=keep_images)
    for block, reference in zip(blocks_of(graphs), expected, strict=True):
        np.testing.assert_allclose(block, reference, rtol=0, atol=1e-6)


def test_couplings_of_real_crystals_are_the_triplets_one_by_one(real_crystals) -> None:
    small = [crystal for crystal in real_crystals if len(crystal.numbers) <= 8][::16]
    for crystal in small:
        graphs = build_angular_graphs(CrystalColumns.of([crystal]), 6.0, 12, degrees=4)
        for block, reference in zip(blocks_of(graphs), brute_force(crystal, 6.0, 12, 4, keep_images=True), strict=True):
            np.testing.assert_allclose(block, reference, rtol=0, atol=1e-6)


def test_messages_of_all_atoms_are_the_neighbour_list(real_crystals) -> None:
    for crystal in [*real_crystals[::40], isolated_atom()]:
        graphs = build_angular_graphs(CrystalColumns.of([crystal]), 4.5, 12)
        found = neighbour_list(crystal, 4.5, 12)
        owners = np.repeat(np.arange(len(crystal.numbers)), np.diff(found.first))
        order = np.argsort(found.neighbours, kind="stable")  # messages are sorted by their sources
        np.testing.assert_array_equal(graphs.targets, owners[order])
        np.testing.assert_array_equal(graphs.distances, found.distances[order])
        np.testing.assert_array_equal(
            np.diff(graphs.out_offsets), np.bincount(found.neighbours, minlength=len(graphs.numbers))
        )
        np.testing.assert_array_equal(graphs.in_offsets, found.first)
        np.testing.assert_array_equal(order[graphs.incoming], np.arange(len(order)))
        np.testing.assert_array_equal(graphs.counts, found.weights)


@pytest.mark.parametrize("degrees", [1, 2, 7, 10])
def test_any_number_of_degrees_is_that_of_scipy(degrees) -> None:
    angles = np.linspace(0.1, 3.1, 25)
    for angle in angles:  # a triplet k → j → i in a box that holds nothing else
        k, i = np.array([-1.0, 0, 0]), np.array([np.cos(angle), np.sin(angle), 0])
        positions = 0.5 + np.array([[0, 0, 0], i, k]) / 30
        crystal = cubic("O H C", 30.0, positions)
        graphs = build_angular_graphs(CrystalColumns.of([crystal]), 1.01, degrees=degrees)
        row = blocks_of(graphs)[0][0]  # the first message out of the oxygen
        expected = sph_harm_y(np.arange(degrees), 0, angle, 0).real
        np.testing.assert_allclose(row[np.abs(row).max(axis=1) > 0][0], expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("resolution", RESOLUTIONS)
def test_distinct_messages_give_what_all_messages_give_on_real_crystals(real_crystals, recipe, resolution) -> None:
    crystals = [crystal for crystal in real_crystals[::10] if len(crystal.numbers) <= 14]
    network = network_for(recipe)
    reduced, full = build(crystals, recipe, resolution), build(crystals, recipe, 0.0)
    assert len(reduced.distances) < 0.6 * len(full.distances)
    difference = worst_difference(outputs(network, angular_batch, full), outputs(network, angular_batch, reduced))
    assert difference <= 1e-5


def test_distinct_messages_give_what_all_messages_give_on_handmade_crystals(recipe) -> None:
    network = network_for(recipe)
    for crystals in (handmade().values(), [jiggled(crystal, 0.05) for crystal in handmade().values()]):
        full, reduced = build(crystals, recipe, 0.0), build(crystals, recipe)
        difference = worst_difference(outputs(network, angular_batch, full), outputs(network, angular_batch, reduced))
        assert difference <= 1e-5


@pytest.mark.parametrize(
    ("crystal", "atoms", "messages"),
    [
        (fcc_primitive(), 1, {3.61 * np.sqrt(0.5): 1}),
        (rock_salt(), 2, {2.82: 2, 2.82 * np.sqrt(2): 2}),
        (diamond(), 1, {3.57 * np.sqrt(3) / 4: 1, 3.57 * np.sqrt(0.5): 1}),
    ],
)
def test_one_message_stands_for_all_its_equals(crystal, atoms, messages) -> None:
    recipe = replace(RECIPES["all"], cutoff_A=max(messages) + 0.1)
    for cell in (crystal, supercell(crystal, 2 * np.eye(3)), shuffled(translated(crystal))):
        graphs = build([cell], recipe)
        assert len(graphs.numbers) == atoms
        distances, counts = np.unique(graphs.distances.round(6), return_counts=True)
        np.testing.assert_allclose(distances, sorted(messages), atol=1e-6)
        assert counts.tolist() == [messages[distance] for distance in sorted(messages)]


def test_weights_and_counts_are_those_of_the_crystal(real_crystals, recipe) -> None:
    crystals = [*real_crystals[::8], isolated_atom()]
    totals = []
    for graphs in (build(crystals, recipe), build(crystals, recipe, 0.0)):
        np.testing.assert_allclose(np.add.reduceat(graphs.weights, graphs.atom_offsets[:-1]), 1.0)
        owners = np.repeat(np.arange(len(graphs.numbers)), np.diff(graphs.in_offsets))
        per_atom = np.bincount(owners, graphs.counts, len(graphs.numbers)) * graphs.weights
        totals.append(np.add.reduceat(per_atom, graphs.atom_offsets[:-1]))
    np.testing.assert_allclose(totals[0], totals[1], rtol=1e-9)


@pytest.mark.parametrize("crystal", handmade().values(), ids=handmade())
@pytest.mark.parametrize("recipe", [RECIPES["16 nearest"], RECIPES["all"]], ids=["16 nearest", "all"])
def test_the_description_of_a_crystal_changes_neither_classes_nor_weights(crystal, recipe) -> None:
    expected = classes(crystal, recipe)
    again = [shuffled(crystal), translated(crystal), rotated(crystal), mirrored(crystal)]
    if len(crystal.numbers) < 10:
        again += [supercell(crystal, matrix) for matrix in (2 * np.eye(3), [[1, 1, 0], [-1, 1, 0], [0, 2, 1]])]
    for cell in [*again, shuffled(again[-1]), translated(again[-1])]:
        assert classes(cell, recipe) == expected


def test_real_crystals_have_the_same_messages_in_every_description(real_crystals, recipe) -> None:
    crystals = [crystal for crystal in real_crystals[1::16] if len(crystal.numbers) <= 12]
    network = network_for(recipe)
    graphs = build(crystals, recipe)
    expected = outputs(network, angular_batch, graphs)
    ways = [shuffled, translated, rotated, mirrored]
    if recipe.keep_images:
        ways.append(lambda crystal: supercell(crystal, np.diag([1, 2, 1])))
    for way in ways:
        again = build([way(crystal) for crystal in crystals], recipe)
        unequal = (again.edges != graphs.edges) | (np.diff(again.atom_offsets) != np.diff(graphs.atom_offsets))
        assert unequal.mean() <= 0.1  # where data hold differences of just the resolution, rounding decides
        assert worst_difference(expected, outputs(network, angular_batch, again)) <= 1e-5


def test_a_graph_does_not_depend_on_its_neighbours_in_the_batch(real_crystals, recipe) -> None:
    crystals = [*real_crystals[::20], isolated_atom(), rock_salt()]
    together = build(crystals, recipe)
    for k, crystal in enumerate(crystals):
        assert_same(together.take(np.array([k])), build([crystal], recipe))


def test_taking_graphs_is_building_from_the_taken_crystals(real_crystals, recipe) -> None:
    columns = CrystalColumns.of([*real_crystals[:40], isolated_atom(), water_in_a_box()])
    graphs = recipe.build(columns)
    for rows in ([3, 41, 0, 40, 3, 17], list(range(42)), [40], []):
        taken = np.array(rows, dtype=np.int64)
        assert_same(graphs.take(taken), recipe.build(columns.take(taken)))


def test_no_crystals_are_no_graphs(recipe) -> None:
    graphs = build([], recipe)
    assert len(graphs) == len(graphs.numbers) == len(graphs.distances) == len(graphs.couplings) == 0


def test_an_atom_without_neighbours_is_an_atom_without_messages(recipe) -> None:
    graphs = build([isolated_atom(), isolated_atom()], recipe)
    assert graphs.numbers.tolist() == [18, 18]
    assert graphs.edges.tolist() == [0, 0]
    assert len(graphs.couplings) == 0


def assert_same(one: AngularGraphs, other: AngularGraphs) -> None:
    for field in fields(AngularGraphs):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name), err_msg=field.name)
