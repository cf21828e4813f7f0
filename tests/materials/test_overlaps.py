"""Atoms on top of each other: found in any cell, whatever its shape."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from matlake.materials.crystal import Crystal, CrystalColumns
from matlake.materials.overlaps import find_overlaps


def crystal(lattice: NDArray[np.float64], positions: NDArray[np.float64]) -> Crystal:
    return Crystal(np.ones(len(positions), dtype=np.int16), lattice, positions)


def shortest_by_brute_force(one: Crystal, images: int) -> float:
    positions = one.positions - np.floor(one.positions)
    shortest = np.inf
    for shift in itertools.product(range(-images, images + 1), repeat=3):
        vectors = (positions[:, None] - positions[None] + np.array(shift)) @ one.lattice
        distances = np.sqrt((vectors**2).sum(axis=2))
        if shift == (0, 0, 0):
            np.fill_diagonal(distances, np.inf)
        shortest = min(shortest, float(distances.min()))
    return shortest


def skewed(lattice: NDArray[np.float64], steps: list[tuple[int, int, int]]) -> NDArray[np.float64]:
    """Return another basis of the same lattice."""
    basis = lattice.copy()
    for target, source, times in steps:
        if target != source:
            basis[target] += times * basis[source]
    return basis


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    atoms=st.integers(1, 6),
    steps=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(-3, 3)), max_size=4),
)
def test_the_shortest_distance_decides_in_every_basis(seed: int, atoms: int, steps: list[tuple[int, int, int]]) -> None:
    random = np.random.default_rng(seed)
    lattice = np.eye(3) * random.uniform(0.4, 3.0, 3) + random.uniform(-0.3, 0.3, (3, 3))
    positions = random.uniform(-2.0, 2.0, (atoms, 3))
    basis = skewed(lattice, steps)
    same = crystal(basis, positions @ lattice @ np.linalg.inv(basis))
    shortest = shortest_by_brute_force(crystal(lattice, positions), 3)
    if abs(shortest - 0.5) > 1e-6:
        assert bool(find_overlaps(CrystalColumns.of([same]))) == (shortest < 0.5)


def test_the_crystal_the_atoms_and_the_distance_are_named() -> None:
    sodium = np.array([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]])
    good = crystal(np.eye(3) * 4.0, sodium)
    bad = crystal(np.eye(3) * 4.0, np.array([[0.01, 0.5, 0.5], [0.5, 0.0, 0.0], [0.96, 0.5, 0.5]]))
    columns = CrystalColumns.of([good, bad, good])
    (overlap,) = find_overlaps(columns)
    assert (overlap.crystal, overlap.first, overlap.second) == (1, 0, 2)
    assert overlap.distance == pytest.approx(0.2)
    assert overlap.describe(columns) == (
        "atoms on top of each other: H at (0.0100, 0.5000, 0.5000) and H are 0.200 Å apart"
    )
    assert find_overlaps(CrystalColumns.of([])) == []


def test_an_atom_can_be_on_top_of_its_own_image() -> None:
    flat = crystal(np.array([[3.0, 0.0, 0.0], [2.9, 0.3, 0.0], [0.0, 0.0, 3.0]]), np.zeros((1, 3)))
    (overlap,) = find_overlaps(CrystalColumns.of([flat]))
    assert (overlap.first, overlap.second) == (0, 0)
    assert overlap.distance == pytest.approx(np.hypot(0.1, 0.3))


def test_ten_thousand_atoms_are_no_trouble() -> None:
    places = np.stack(np.meshgrid(*[np.arange(21)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) / 21
    large = crystal(np.eye(3) * 60.0, places)
    assert find_overlaps(CrystalColumns.of([large])) == []
    moved = places.copy()
    moved[17] = moved[5000] + 0.001
    assert len(find_overlaps(CrystalColumns.of([crystal(np.eye(3) * 60.0, moved)]))) == 1
