"""Graphs of bonds and their angles: couplings are sums over pairs of bonds, and distinct edges give what all give."""

from dataclasses import fields

import numpy as np
import pytest
from sample_crystals import (
    cubic,
    diamond,
    fcc_primitive,
    handmade,
    hcp,
    isolated_atom,
    jiggled,
    perovskite,
    rock_salt,
    shuffled,
    supercell,
    translated,
    water_in_a_box,
)
from scipy.special import sph_harm_y

from matlake.materials.crystal import Crystal, CrystalColumns
from matlake.materials.graph_recipe import GraphRecipe
from matlake.materials.neighbours import neighbour_list
from matlake.materials.triplet_graphs import TripletGraphs, build_triplet_graphs

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from graph_networks import outputs, randomised, worst_difference  # noqa: E402 - after the skip

from matlake.networks.m3gnet import M3GNet  # noqa: E402
from matlake.networks.triplet_batches import triplet_batch  # noqa: E402

CUTOFF, BOND_CUTOFF, DEGREES = 4.8, 3.6, 3
RECIPE = GraphRecipe("triplets", CUTOFF, 0, blocks=2, degrees=DEGREES, bond_cutoff_A=BOND_CUTOFF)


def network() -> torch.nn.Module:
    torch.manual_seed(1)
    sizes = {"atom_width": 8, "edge_width": 8, "hidden_width": 8, "num_blocks": 2}
    return randomised(M3GNet(**sizes, cutoff=CUTOFF, bond_cutoff=BOND_CUTOFF))


def build(crystals: list[Crystal], resolution: float | None = None) -> TripletGraphs:
    return RECIPE.build(CrystalColumns.of(crystals), resolution=resolution)


def brute_force(crystal: Crystal) -> list[np.ndarray]:
    """Couplings [bonds, bonds, L] of each atom, as the definition says."""
    found = neighbour_list(crystal, BOND_CUTOFF)
    where = crystal.positions @ crystal.lattice
    blocks = []
    for i in range(len(crystal.numbers)):
        edges = slice(found.first[i], found.first[i + 1])
        ends = where[found.neighbours[edges]] + found.shifts[edges] @ crystal.lattice - where[i]
        units = ends / np.linalg.norm(ends, axis=1)[:, None]
        angles = np.arccos(np.clip(units @ units.T, -1, 1))
        block = np.stack([sph_harm_y(degree, 0, angles, 0).real for degree in range(DEGREES)], axis=-1)
        block[np.arange(len(units)), np.arange(len(units))] = 0  # no angle with itself
        blocks.append(block)
    return blocks


def blocks_of(graphs: TripletGraphs) -> list[np.ndarray]:
    parts = np.split(graphs.couplings, graphs.coupling_offsets[1:-1])
    return [part.reshape(p, p, DEGREES) for part, p in zip(parts, graphs.bonds, strict=True)]


@pytest.mark.parametrize(
    "crystal", [cubic("Po", 3.35, [(0.1, 0.2, 0.3)]), hcp(1.6), jiggled(perovskite(), 0.1), water_in_a_box()]
)
def test_couplings_are_the_pairs_of_bonds_one_by_one(crystal) -> None:
    graphs = build([crystal], 0.0)
    edges, bonds = (neighbour_list(crystal, cutoff) for cutoff in (CUTOFF, BOND_CUTOFF))
    np.testing.assert_array_equal(graphs.distances, edges.distances)
    np.testing.assert_array_equal(graphs.bonds, np.diff(bonds.first))
    for block, reference in zip(blocks_of(graphs), brute_force(crystal), strict=True):
        np.testing.assert_allclose(block, reference, rtol=0, atol=1e-6)


@pytest.mark.parametrize("make", [lambda crystal: crystal, lambda crystal: jiggled(crystal, 0.05)])
def test_distinct_edges_give_what_all_edges_give_on_handmade_crystals(make) -> None:
    crystals = [make(crystal) for crystal in handmade().values()]
    full, reduced = build(crystals, 0.0), build(crystals)
    assert len(reduced.distances) <= len(full.distances)
    compared = outputs(network(), triplet_batch, full), outputs(network(), triplet_batch, reduced)
    assert worst_difference(*compared) <= 1e-5


def test_distinct_edges_give_what_all_edges_give_on_real_crystals(real_crystals) -> None:
    crystals = [crystal for crystal in real_crystals[::10] if len(crystal.numbers) <= 14]
    full, reduced = build(crystals, 0.0), build(crystals)
    assert len(reduced.distances) < 0.4 * len(full.distances)
    compared = outputs(network(), triplet_batch, full), outputs(network(), triplet_batch, reduced)
    assert worst_difference(*compared) <= 1e-5


@pytest.mark.parametrize(
    ("crystal", "atoms", "distances"),
    [
        (fcc_primitive(), 1, [3.61 * np.sqrt(0.5), 3.61, 3.61 * np.sqrt(1.5)]),
        (diamond(), 1, [3.57 * np.sqrt(x) for x in (3 / 16, 0.5, 11 / 16, 1.0, 19 / 16, 1.5, 27 / 16)]),
    ],
)
def test_one_edge_stands_for_all_its_equals_in_every_description(crystal, atoms, distances) -> None:
    for cell in (crystal, supercell(crystal, 2 * np.eye(3)), shuffled(translated(crystal))):
        graphs = build([cell])
        assert len(graphs.numbers) == atoms
        np.testing.assert_allclose(
            np.unique(graphs.distances.round(6)), [d for d in distances if d <= CUTOFF], atol=1e-6
        )


def test_weights_and_counts_are_those_of_the_crystal(real_crystals) -> None:
    crystals = [*real_crystals[::20], isolated_atom()]
    totals = []
    for graphs in (build(crystals), build(crystals, 0.0)):
        np.testing.assert_allclose(np.add.reduceat(graphs.weights, graphs.atom_offsets[:-1]), 1.0)
        owners = np.repeat(np.arange(len(graphs.numbers)), np.diff(graphs.edge_offsets))
        per_atom = np.bincount(owners, graphs.counts, len(graphs.numbers)) * graphs.weights
        totals.append(np.add.reduceat(per_atom, graphs.atom_offsets[:-1]))
    np.testing.assert_allclose(totals[0], totals[1], rtol=1e-9)


def test_taking_graphs_is_building_from_the_taken_crystals() -> None:
    columns = CrystalColumns.of([*handmade().values(), rock_salt()])
    graphs = RECIPE.build(columns)
    for rows in ([3, 9, 0, 9, 3], list(range(len(columns))), [9], []):
        taken = np.array(rows, dtype=np.int64)
        again, expected = graphs.take(taken), RECIPE.build(columns.take(taken))
        for field in fields(TripletGraphs):
            np.testing.assert_array_equal(getattr(again, field.name), getattr(expected, field.name), field.name)


def test_an_atom_without_neighbours_is_an_atom_without_edges() -> None:
    graphs = build_triplet_graphs(CrystalColumns.of([isolated_atom()]), 5.0, 4.0, degrees=3, resolution=1e-5)
    assert (graphs.numbers.tolist(), graphs.edges.tolist(), graphs.bonds.tolist()) == ([18], [0], [0])
    assert len(graphs.couplings) == 0
