"""Neighbour lists: against pymatgen, against geometry, and with a cap that nothing but the crystal decides."""

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pymatgen.optimization.neighbors import find_points_in_spheres
from sample_crystals import (
    bcc,
    bcc_primitive,
    caesium_chloride,
    cubic,
    diamond,
    fcc,
    fcc_primitive,
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
)

from matlake.materials.crystal import Crystal, make_crystal
from matlake.materials.neighbours import SHELL_A, NeighbourList, neighbour_list

EDGE_A = 1e-7  # pairs closer than this to the cutoff are in or out by rounding: the referee may disagree


def table(first, second, shifts, distances) -> tuple[np.ndarray, np.ndarray]:
    """Pairs as sorted rows (first, second, shift), and their distances."""
    rows = np.column_stack([first, second, shifts]).astype(int)
    order = np.lexsort(rows.T)
    return rows[order], np.asarray(distances)[order]


def ours(crystal: Crystal, cutoff: float) -> tuple[np.ndarray, np.ndarray]:
    found = neighbour_list(crystal, cutoff)
    clear = np.abs(found.distances - cutoff) > EDGE_A
    owners = np.repeat(np.arange(len(crystal.numbers)), np.diff(found.first))
    return table(owners[clear], found.neighbours[clear], found.shifts[clear], found.distances[clear])


def referee(crystal: Crystal, cutoff: float) -> tuple[np.ndarray, np.ndarray]:
    points = np.ascontiguousarray(crystal.positions @ crystal.lattice)
    first, second, shifts, distances = find_points_in_spheres(
        points, points, r=cutoff, pbc=np.ones(3, dtype=np.int64), lattice=np.ascontiguousarray(crystal.lattice)
    )
    itself = (first == second) & (shifts == 0).all(axis=1)
    kept = ~itself & (np.abs(distances - cutoff) > EDGE_A)
    return table(first[kept], second[kept], shifts[kept], distances[kept])


def assert_equal_to_referee(crystal: Crystal, cutoff: float) -> None:
    (pairs, distances), (expected, expected_distances) = ours(crystal, cutoff), referee(crystal, cutoff)
    np.testing.assert_array_equal(pairs, expected)
    np.testing.assert_allclose(distances, expected_distances, rtol=0, atol=1e-10)


def lengths(found: NeighbourList, atom: int) -> np.ndarray:
    return found.distances[found.first[atom] : found.first[atom + 1]]


def test_real_crystals_have_the_neighbours_that_pymatgen_finds(real_crystals) -> None:
    for crystal in real_crystals:
        assert_equal_to_referee(crystal, 6.0)


def test_positions_outside_the_cell_and_left_handed_cells_change_no_pair(real_crystals) -> None:
    for seed, crystal in enumerate(real_crystals[::20]):
        assert_equal_to_referee(translated(crystal, seed), 5.0)
        assert_equal_to_referee(mirrored(crystal), 5.0)
        swapped = Crystal(crystal.numbers, crystal.lattice[[1, 0, 2]], crystal.positions[:, [1, 0, 2]])
        assert_equal_to_referee(swapped, 5.0)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(-6, 6), min_size=9, max_size=9),
    st.lists(st.tuples(*[st.floats(-3, 3)] * 3), min_size=1, max_size=4),
    st.floats(0.5, 7.0),
)
def test_any_cell_has_the_neighbours_that_pymatgen_finds(entries, positions, cutoff) -> None:
    lattice = np.array(entries).reshape(3, 3)
    edges = np.linalg.norm(lattice, axis=1)
    volume = abs(np.linalg.det(lattice))
    assume(edges.min() > 0.5)
    assume(volume > 0.02 * edges.prod())
    assume(len(positions) ** 2 * cutoff**3 / volume < 5e3)
    assert_equal_to_referee(make_crystal([6] * len(positions), lattice, positions), cutoff)


def test_each_image_of_an_atom_in_a_tiny_cell_counts() -> None:
    found = neighbour_list(make_crystal([1], np.eye(3), [[0.3, 0.1, 7.7]]), 8.05)
    grid = np.stack(np.meshgrid(*[np.arange(-9, 10)] * 3), axis=-1).reshape(-1, 3)
    expected = np.linalg.norm(grid, axis=1)
    expected = np.sort(expected[(expected > 0) & (expected < 8.05)])
    np.testing.assert_allclose(found.distances, expected, rtol=0, atol=1e-12)
    assert len({tuple(shift) for shift in found.shifts.tolist()}) == len(expected)


def test_distances_follow_from_positions_and_shifts(real_crystals) -> None:
    for crystal in real_crystals[::20]:
        found = neighbour_list(crystal, 6.0)
        owners = np.repeat(np.arange(len(crystal.numbers)), np.diff(found.first))
        apart = crystal.positions[found.neighbours] + found.shifts - crystal.positions[owners]
        np.testing.assert_allclose(np.linalg.norm(apart @ crystal.lattice, axis=1), found.distances, rtol=1e-12)


unimodular = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(-2, 2)), min_size=1, max_size=5).map(
    lambda steps: np.linalg.multi_dot(
        [
            np.eye(3),
            np.eye(3),
            *(np.eye(3) + times * np.outer(np.eye(3)[i], np.eye(3)[j]) for i, j, times in steps if i != j),
        ]
    )
)


@settings(max_examples=40, deadline=None)
@given(unimodular)
def test_a_skewed_basis_of_a_cubic_lattice_gives_the_distances_of_the_cube(matrix) -> None:
    assume(np.abs(matrix).max() <= 5)
    for crystal in (cubic("Po", 3.0, [(0.1, 0.2, 0.3)]), perovskite()):
        straight, skewed = neighbour_list(crystal, 6.0), neighbour_list(supercell(crystal, matrix), 6.0)
        for atom in range(len(crystal.numbers)):
            np.testing.assert_allclose(lengths(skewed, atom), lengths(straight, atom), rtol=0, atol=1e-9)


def test_a_basis_with_all_entries_at_five_is_as_good_as_the_cube() -> None:
    crystal = cubic("Po", 3.0, [(0.1, 0.2, 0.3)])
    matrix = np.array([[1, 5, -5], [0, 1, 5], [0, 0, 1]]) @ np.array([[1, 0, 0], [5, 1, 0], [0, -5, 1]])
    found = neighbour_list(supercell(crystal, matrix), 6.3)
    np.testing.assert_allclose(found.distances, neighbour_list(crystal, 6.3).distances, rtol=0, atol=1e-9)


def test_a_neighbour_at_exactly_the_cutoff_counts_whatever_the_rounding() -> None:
    crystal = cubic("Po Po", 3.0, [(0.1, 0.2, 0.3), (0.6, 0.7, 0.8)])
    expected = np.diff(neighbour_list(crystal, 6.0 + 1e-6).first)
    for seed in range(50):
        found = neighbour_list(rotated(translated(crystal, seed), seed), 6.0)
        np.testing.assert_array_equal(np.diff(found.first), expected)


def test_neighbours_come_nearest_first_and_both_ways(real_crystals) -> None:
    for crystal in real_crystals[::20]:
        found = neighbour_list(crystal, 5.0)
        assert all((np.diff(lengths(found, atom)) >= 0).all() for atom in range(len(crystal.numbers)))
        owners = np.repeat(np.arange(len(crystal.numbers)), np.diff(found.first))
        there = table(owners, found.neighbours, found.shifts, found.distances)
        back = table(found.neighbours, owners, -found.shifts, found.distances)
        np.testing.assert_array_equal(there[0], back[0])
        np.testing.assert_array_equal(there[1], back[1])


def test_an_isolated_atom_has_no_neighbours() -> None:
    for cap in (0, 12):
        found = neighbour_list(isolated_atom(), 8.0, cap)
        assert found.first.tolist() == [0, 0]
        assert len(found.distances) == len(found.weights) == len(found.shifts) == 0


# The cap


def capped(distances: np.ndarray, most: int) -> np.ndarray:
    """The weights of the nearest, written plainly: whole shells; the last ones share what is left."""
    weights = np.zeros(len(distances))
    shells = np.split(np.arange(len(distances)), np.flatnonzero(np.diff(distances) >= SHELL_A) + 1)
    left = most
    for shell in shells:
        if left > 0 and len(shell):
            weights[shell] = min(1.0, left / len(shell))
            left -= len(shell)
    return weights[weights > 0]


def shells(crystal: Crystal, most: int, cutoff: float = 8.0) -> dict[int, list[tuple[float, float, int]]]:
    """Per atom (element first): distance, weight and number of the neighbours in each shell."""
    found = neighbour_list(crystal, cutoff, most)
    seen = defaultdict(set)
    for atom, number in enumerate(crystal.numbers.tolist()):
        part = slice(found.first[atom], found.first[atom + 1])
        kept = list(zip(found.distances[part].round(4), found.weights[part].round(9), strict=True))
        seen[number].add(tuple(sorted((d, w, kept.count((d, w))) for d, w in set(kept))))
    assert all(len(kinds) == 1 for kinds in seen.values()), "equal atoms have different neighbours"
    return {number: list(kinds.pop()) for number, kinds in seen.items()}


def variants(*crystals: Crystal) -> list[Crystal]:
    """The same crystal in other words."""
    found = []
    for crystal in crystals:
        cells = [crystal, supercell(crystal, 2 * np.eye(3)), supercell(crystal, [[1, 1, 0], [-1, 1, 0], [3, 0, 1]])]
        cells += [supercell(crystal, [[1, 2, 0], [0, 1, 0], [-2, 0, 1]])]
        for seed, cell in enumerate(cells):
            found += [cell, rotated(shuffled(translated(cell, seed), seed), seed), jiggled(cell, 1e-7, seed)]
    return found


A_FCC, A_BCC, A_CSCL, A_HCP = 3.61 * np.sqrt(0.5), 2.87, 4.12, 3.21


@pytest.mark.parametrize(
    ("cells", "most", "expected"),
    [
        ((fcc(), fcc_primitive()), 12, [(A_FCC, 1.0, 12)]),
        ((fcc(), fcc_primitive()), 10, [(A_FCC, 10 / 12, 12)]),
        ((fcc(), fcc_primitive()), 15, [(A_FCC, 1.0, 12), (3.61, 3 / 6, 6)]),
        ((hcp(),), 12, [(A_HCP, 1.0, 12)]),
        ((hcp(),), 7, [(A_HCP, 7 / 12, 12)]),
        ((hcp(1.6),), 12, [(A_HCP * np.hypot(0.8, 3**-0.5), 1.0, 6), (A_HCP, 1.0, 6)]),
        ((hcp(1.6),), 8, [(A_HCP * np.hypot(0.8, 3**-0.5), 1.0, 6), (A_HCP, 2 / 6, 6)]),
        ((bcc(), bcc_primitive()), 12, [(A_BCC * np.sqrt(0.75), 1.0, 8), (A_BCC, 4 / 6, 6)]),
        ((caesium_chloride(),), 12, [(A_CSCL * np.sqrt(0.75), 1.0, 8), (A_CSCL, 4 / 6, 6)]),
        ((caesium_chloride(),), 8, [(A_CSCL * np.sqrt(0.75), 1.0, 8)]),
    ],
)
def test_a_shell_that_does_not_fit_is_shared_in_every_description_of_the_crystal(cells, most, expected) -> None:
    rounded = [(round(distance, 4), round(weight, 9), count) for distance, weight, count in expected]
    for crystal in variants(*cells):
        assert all(found == rounded for found in shells(crystal, most).values())


@pytest.mark.parametrize("cell", [rock_salt(), diamond(), perovskite()])
@pytest.mark.parametrize("most", [12, 16, 24])
def test_the_nearest_do_not_depend_on_how_a_crystal_is_described(cell, most) -> None:
    expected = shells(cell, most)
    for crystal in variants(cell):
        assert shells(crystal, most) == expected


@pytest.mark.parametrize(("cutoff", "most"), [(8.0, 12), (6.0, 24), (6.0, 16), (4.0, 12), (3.0, 5)])
def test_the_nearest_are_the_first_of_all_with_the_weights_of_their_shells(real_crystals, cutoff, most) -> None:
    for crystal in real_crystals[::10]:
        every, nearest = neighbour_list(crystal, cutoff), neighbour_list(crystal, cutoff, most)
        for atom in range(len(crystal.numbers)):
            part = slice(nearest.first[atom], nearest.first[atom + 1])
            weights = capped(lengths(every, atom), most)
            np.testing.assert_allclose(nearest.weights[part], weights, rtol=1e-12)
            np.testing.assert_array_equal(lengths(nearest, atom), lengths(every, atom)[: len(weights)])
            assert weights.sum() == pytest.approx(min(most, len(lengths(every, atom))))


def test_a_shell_longer_than_the_first_search_is_kept_whole() -> None:
    random = np.random.default_rng(0)
    directions = random.normal(size=(200, 3))
    radii = 4.99 + 0.9 * SHELL_A * np.arange(200)
    ring = directions / np.linalg.norm(directions, axis=1, keepdims=True) * radii[:, None]
    cluster = make_crystal([6] * 201, 40 * np.eye(3), [[0, 0, 0], *ring], cartesian=True)
    found = neighbour_list(cluster, 8.0, 12)
    np.testing.assert_allclose(lengths(found, 0), radii, rtol=1e-12)
    np.testing.assert_allclose(found.weights[:200], 12 / 200)
