"""Graphs of bonds: angles are those of the neighbour list, and distinct ones give what all of them give."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import fields, replace

import numpy as np
import pytest
from sample_crystals import (
    diamond,
    fcc_primitive,
    handmade,
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

from matlake.materials.bond_graphs import SHRINK, BondGraphs
from matlake.materials.crystal import Crystal, CrystalColumns
from matlake.materials.graph_recipe import SYMMETRY_RESOLUTION_A, GraphRecipe
from matlake.materials.neighbours import neighbour_list

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from graph_networks import outputs, randomised, worst_difference  # noqa: E402 - after the skip

from matlake.networks.bond_batches import bond_batch  # noqa: E402
from matlake.networks.chgnet import CHGNet  # noqa: E402

RECIPE = GraphRecipe("bonds", 6.0, 0, blocks=4, bond_cutoff_A=3.0)


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(1)
    return randomised(CHGNet(width=8, num_radial=6, num_angular=7))


def build(crystals: Iterable[Crystal], resolution: float = SYMMETRY_RESOLUTION_A) -> BondGraphs:
    return RECIPE.build(CrystalColumns.of(list(crystals)), resolution=resolution)


def angles_by_hand(crystal: Crystal) -> Counter[tuple[float, float, float]]:
    """The two lengths and the angle of every ordered pair of bonds of one atom; an image is an atom of its own."""
    found = neighbour_list(crystal, 3.0)
    places = (found.shifts + crystal.positions[found.neighbours]) @ crystal.lattice
    angles: Counter[tuple[float, float, float]] = Counter()
    for i in range(len(crystal.numbers)):
        bonds = places[found.first[i] : found.first[i + 1]] - crystal.positions[i] @ crystal.lattice
        lengths = np.linalg.norm(bonds, axis=1)
        cosines = bonds @ bonds.T / np.outer(lengths, lengths)
        for a in range(len(bonds)):
            for b in range(len(bonds)):
                if a != b:
                    theta = np.arccos(np.clip(cosines[a, b], -1, 1) * SHRINK)
                    angles[round(lengths[a], 6), round(lengths[b], 6), round(theta, 6)] += 1
    return angles


def angles_of(graphs: BondGraphs) -> Counter[tuple[float, float, float]]:
    ends = np.repeat(np.arange(len(graphs.end_atoms)), np.diff(graphs.angle_offsets))
    own = graphs.bond_distances[graphs.end_bonds[ends]]
    other = graphs.bond_distances[graphs.angle_bonds]
    return Counter(zip(own.round(6).tolist(), other.round(6).tolist(), graphs.angles.round(6).tolist(), strict=True))


@pytest.mark.parametrize(
    "crystal", [jiggled(perovskite(), 0.2), jiggled(supercell(diamond(), np.diag([1, 1, 2])), 0.1)]
)
def test_angles_of_all_atoms_are_those_of_the_neighbour_list(crystal: Crystal) -> None:
    assert angles_of(build([crystal], 0.0)) == angles_by_hand(crystal)


def test_a_bond_to_the_image_of_an_atom_has_two_ends_at_it() -> None:
    graphs = build([fcc_primitive()], 0.0)
    assert len(graphs.numbers) == 1
    assert len(graphs.bond_distances) == 6
    assert sorted(graphs.bond_ends.ravel().tolist()) == list(range(12))
    assert np.diff(graphs.angle_offsets).tolist() == [11] * 12


@pytest.mark.parametrize("resolution", [1e-6, SYMMETRY_RESOLUTION_A])
def test_distinct_atoms_bonds_and_angles_give_what_all_give(real_crystals, network, resolution) -> None:
    crystals = [crystal for crystal in real_crystals[::12] if len(crystal.numbers) <= 10]
    crystals += [*handmade().values(), *(jiggled(crystal, 0.05) for crystal in handmade().values())]
    full, reduced = build(crystals, 0.0), build(crystals, resolution)
    assert reduced.edges.sum() < 0.5 * full.edges.sum()
    assert worst_difference(outputs(network, bond_batch, full), outputs(network, bond_batch, reduced)) <= 1e-5


@pytest.mark.parametrize(("crystal", "atoms", "bonds"), [(rock_salt(), 2, 1), (diamond(), 1, 3)])
def test_one_stands_for_all_its_equals(crystal: Crystal, atoms: int, bonds: int) -> None:
    angles = set(angles_by_hand(crystal))
    for cell in (crystal, supercell(crystal, 2 * np.eye(3)), shuffled(translated(rotated(crystal)))):
        graphs = build([cell])
        assert (len(graphs.numbers), len(graphs.bond_distances)) == (atoms, bonds)
        assert len(graphs.end_atoms) == atoms * bonds
        assert set(angles_of(graphs)) == angles


def test_totals_are_those_of_the_crystal(real_crystals) -> None:
    crystals = [*real_crystals[::16], isolated_atom()]
    totals = []
    for graphs in (build(crystals), build(crystals, 0.0)):
        np.testing.assert_allclose(np.add.reduceat(graphs.weights, graphs.atom_offsets[:-1]), 1.0)
        owners = np.repeat(np.arange(len(graphs.numbers)), np.diff(graphs.edge_offsets))
        per_atom = np.bincount(owners, graphs.counts, len(graphs.numbers)) * graphs.weights
        totals.append(np.add.reduceat(per_atom, graphs.atom_offsets[:-1]))
    np.testing.assert_allclose(totals[0], totals[1], rtol=1e-9)


def test_the_description_of_a_crystal_changes_no_layer(real_crystals, network) -> None:
    crystals = [crystal for crystal in real_crystals[1::24] if len(crystal.numbers) <= 12] + [rock_salt(), diamond()]
    expected = outputs(network, bond_batch, build(crystals))
    for change in (shuffled, translated, rotated, mirrored, lambda one: supercell(one, np.diag([1, 2, 1]))):
        changed = build([change(crystal) for crystal in crystals])
        assert worst_difference(expected, outputs(network, bond_batch, changed)) <= 1e-5


def test_taking_graphs_is_building_from_the_taken_crystals(real_crystals) -> None:
    columns = CrystalColumns.of([*real_crystals[:30], isolated_atom(), water_in_a_box()])
    for resolution in (0.0, SYMMETRY_RESOLUTION_A):
        graphs = RECIPE.build(columns, resolution=resolution)
        for rows in ([3, 31, 0, 30, 3, 17], list(range(32)), [30], []):
            taken = np.array(rows, dtype=np.int64)
            expected = RECIPE.build(columns.take(taken), resolution=resolution)
            for field in fields(BondGraphs):
                found = getattr(graphs.take(taken), field.name)
                np.testing.assert_array_equal(found, getattr(expected, field.name), err_msg=field.name)


def test_atoms_without_neighbours_and_bonds_without_angles(network) -> None:
    stretched = replace(rock_salt(), lattice=rock_salt().lattice * 1.2)  # 3.4 Å apart
    dimer = water_in_a_box()
    dimer = Crystal(dimer.numbers[:2], dimer.lattice, dimer.positions[:2])
    graphs = build([isolated_atom(), stretched, dimer])
    assert np.diff(graphs.bond_offsets).tolist() == [0, 0, 1]
    assert len(graphs.angles) == 0
    assert graphs.edges.tolist()[0] == 0
    layers = outputs(network, bond_batch, graphs)
    assert torch.equal(layers["4"][0], layers["0"][0])
    assert all(layer.isfinite().all() for layer in layers.values())


def test_no_crystals_are_no_graphs() -> None:
    graphs = build([])
    assert len(graphs) == len(graphs.numbers) == len(graphs.distances) == len(graphs.angles) == 0
