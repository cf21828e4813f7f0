"""The structural descriptor: textbook crystals, plain numpy, invariances, smoothness, hard cases."""

from collections.abc import Callable

import numpy as np
import pytest
from plain_attributes import plain_attributes

from matlake.encoders.reference import reference_crystals
from matlake.materials.crystal import Crystal, CrystalColumns, make_crystal
from matlake.materials.geometry.attributes import ATTRIBUTES, describe_geometry
from matlake.materials.geometry.elements import COVALENT_RADII_A, ELECTRONEGATIVITIES, ELEMENTS, MASSES_U

CUTOFF = 8.0
NAMES = [name for name, _ in ATTRIBUTES]
ANGLES = slice(NAMES.index("contacts at 180° to a contact"), NAMES.index("contacts at 0° to a contact") + 1)
FCC = np.array([[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])

ROCK_SALT = make_crystal([11, 17], 5.64 * FCC, [[0, 0, 0], [0.5, 0.5, 0.5]])
DIAMOND = make_crystal([6, 6], 3.567 * FCC, [[0, 0, 0], [0.25, 0.25, 0.25]])
COPPER = make_crystal([29], 3.615 * FCC, [[0, 0, 0]])
GRAPHITE = make_crystal(
    [6] * 4,
    [[2.461, 0, 0], [-1.2305, 2.461 * np.sqrt(0.75), 0], [0, 0, 6.708]],
    [[0, 0, 0.25], [0, 0, 0.75], [1 / 3, 2 / 3, 0.25], [2 / 3, 1 / 3, 0.75]],
)


def described(*crystals: Crystal) -> np.ndarray:
    return describe_geometry(CrystalColumns.of(crystals), CUTOFF).attributes


def attribute(crystal: Crystal, name: str) -> float:
    return float(described(crystal)[0, NAMES.index(name)])


def gaussians(cosines: list[float]) -> np.ndarray:
    """What angles of a bond count at 180°, 120°, 90°, 60° and 0°."""
    return np.exp(-(((np.array(cosines)[:, None] - np.linspace(-1, 1, 5)) / 0.3) ** 2)).sum(axis=0)


def test_rock_salt() -> None:
    assert attribute(ROCK_SALT, "volume per atom") == pytest.approx(5.64**3 / 8)
    assert attribute(ROCK_SALT, "density") == pytest.approx(2.164, abs=0.001)
    assert attribute(ROCK_SALT, "mean nearest distance") == pytest.approx(2.82)
    assert attribute(ROCK_SALT, "mean nearest distance / sum of covalent radii") == pytest.approx(2.82 / (1.66 + 1.02))
    assert attribute(ROCK_SALT, "mean coordination number") == pytest.approx(6)
    assert attribute(ROCK_SALT, "mean electronegativity difference along bonds") == pytest.approx(3.16 - 0.93)
    assert attribute(ROCK_SALT, "deviation reduced mass of bonds ^ -1/2") == pytest.approx(0)
    assert attribute(ROCK_SALT, "mean reduced mass of bonds ^ -1/2") == pytest.approx(
        np.sqrt(1 / 22.9898 + 1 / 35.45), rel=1e-5
    )
    assert attribute(ROCK_SALT, "maximum mass ^ -1/2") == pytest.approx(22.9898**-0.5)
    assert attribute(ROCK_SALT, "deviation charge") > 0
    assert attribute(ROCK_SALT, "bond reach, all in frameworks") == pytest.approx(2.82 / 2.68)


def test_diamond() -> None:
    assert attribute(DIAMOND, "mean nearest distance") == pytest.approx(3.567 * np.sqrt(3) / 4)
    assert attribute(DIAMOND, "mean coordination number") == pytest.approx(4)
    assert attribute(DIAMOND, "packing fraction of covalent spheres") == pytest.approx(
        8 * 4 / 3 * np.pi * 0.76**3 / 3.567**3
    )
    assert described(DIAMOND)[0, ANGLES] == pytest.approx(gaussians([-1 / 3] * 3))
    assert attribute(DIAMOND, "bond reach, first framework") == pytest.approx(3.567 * np.sqrt(3) / 4 / 1.52)


def test_copper() -> None:
    assert attribute(COPPER, "minimum coordination number") == pytest.approx(12)
    assert attribute(COPPER, "mean contacts") == pytest.approx(12)
    assert attribute(COPPER, "deviation charge") == 0
    assert attribute(COPPER, "mean nearest distance") == pytest.approx(3.615 / np.sqrt(2))
    assert described(COPPER)[0, 6:9] == pytest.approx([1 / 3] * 3)
    assert described(COPPER)[0, ANGLES] == pytest.approx(gaussians([-1] + [-0.5] * 4 + [0] * 2 + [0.5] * 4))


def test_graphite_is_layered() -> None:
    bond = 2.461 / np.sqrt(3)
    assert attribute(GRAPHITE, "mean coordination number") == pytest.approx(3)
    assert described(GRAPHITE)[0, 6:9] == pytest.approx([0, 0.5, 0.5])
    assert attribute(GRAPHITE, "bond reach, all in layers") == pytest.approx(bond / 1.52)
    assert attribute(GRAPHITE, "bond reach, all in frameworks") == pytest.approx(6.708 / 2 / 1.52)
    soft, stiff = (attribute(GRAPHITE, f"mean log {which} direction / mass") for which in ("softest", "stiffest"))
    assert soft < stiff - 1


def test_it_is_what_plain_numpy_finds() -> None:
    crystals = reference_crystals()
    rows = [*range(0, 200, 9), 200, 201, 202]
    rows = [row for row in rows if crystals.sizes[row] <= 24]
    found = describe_geometry(crystals.take(rows), CUTOFF).attributes
    for row, values in zip(rows, found, strict=True):
        assert values[:-6] == pytest.approx(plain_attributes(crystals[row]), rel=1e-7, abs=1e-7)


def spread() -> np.ndarray:
    """The deviation of each attribute over real crystals."""
    return describe_geometry(reference_crystals().take(range(200)), CUTOFF).attributes.std(axis=0)


def test_no_attribute_depends_on_the_description_of_the_crystal() -> None:
    random = np.random.default_rng(3)
    crystals = [reference_crystals()[row] for row in range(0, 200, 5)]
    basis, cell = np.array([[1, 1, 0], [0, 1, 0], [-1, 2, 1]]), np.array([[1, 1, 0], [-1, 1, 0], [0, 0, 2]])
    others = []
    for one in crystals:
        order = random.permutation(len(one.numbers))
        moved = (one.positions[order] + random.random(3)) @ np.linalg.inv(basis)
        others.append(supercell(Crystal(one.numbers[order], basis @ one.lattice, moved), cell))
    assert (np.abs(described(*others) - described(*crystals)) < 1e-6 * spread()).all()


def supercell(crystal: Crystal, matrix: np.ndarray) -> Crystal:
    reach = int(np.abs(matrix).sum(axis=0).max())
    grid = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    inverse = np.linalg.inv(matrix)
    inside = grid[(np.abs(grid @ inverse - 0.5 + 1e-9) < 0.5).all(axis=1)]
    positions = ((crystal.positions[:, None] + inside) @ inverse).reshape(-1, 3)
    return Crystal(np.repeat(crystal.numbers, len(inside)), matrix @ crystal.lattice, positions)


def test_five_digits_of_a_file_move_nothing() -> None:
    crystals = [reference_crystals()[row] for row in range(200)]
    rounded = [Crystal(one.numbers, one.lattice.round(5), one.positions.round(5)) for one in crystals]
    moved = np.abs(described(*rounded) - described(*crystals)) / spread()
    assert moved.max() < 3e-3
    assert moved.mean() < 1e-4


def test_nothing_jumps_where_a_shell_of_neighbours_splits() -> None:
    edges = np.linspace(3.0, 4.5, 301)
    values = described(*(make_crystal([29, 8], np.diag([3.0, 3.0, c]), [[0, 0, 0], [0.5, 0.5, 0.5]]) for c in edges))
    steps = np.abs(np.diff(values, axis=0)) / np.maximum(np.ptp(values, axis=0), 1e-9)
    assert steps.max() < 0.1


def test_an_isolated_atom_and_two_thousand_atoms() -> None:
    alone = described(make_crystal([26], np.eye(3) * 30.0, [[0, 0, 0]]))[0]
    assert np.isfinite(alone).all()
    assert alone[NAMES.index("mean coordination number")] == 0
    assert alone[NAMES.index("mean nearest distance")] == CUTOFF
    large = supercell(supercell(ROCK_SALT, np.diag([8, 8, 8])), np.diag([2, 1, 1]))
    assert len(large.numbers) == 2048
    assert described(large)[0] == pytest.approx(described(ROCK_SALT)[0], rel=1e-9, abs=1e-9)


def test_every_element_of_the_tables_is_known() -> None:
    assert len(ELEMENTS) == len(MASSES_U) == len(COVALENT_RADII_A) == len(ELECTRONEGATIVITIES) == 96
    assert np.isfinite(described(*(make_crystal([z], 4.0 * FCC, [[0, 0, 0]]) for z in range(1, 97)))).all()


@pytest.mark.parametrize("row", [0, 7, 21, 60, 111, 150])
def test_bonds_reach_as_far_as_pymatgen_finds(row) -> None:
    """With bonds just below and just above a reach, Larsen's dimensionality is what the reach says."""
    dimensionality = pytest.importorskip("pymatgen.analysis.dimensionality", reason="needs the extra 'dev'")
    crystal = reference_crystals()[row]
    found = described(crystal)[0, -6:]
    for reach in sorted(set(found[found < 2.5])):
        for length in (reach - 1e-6, reach + 1e-6):
            ranks = larsen(crystal, length, dimensionality)
            for k in range(3):
                assert (max(ranks) > k) == (found[k] < length)
                assert (min(ranks) > k) == (found[3 + k] < length)


def larsen(crystal: Crystal, reach: float, dimensionality: object) -> list[int]:
    """Dimensionalities of the fragments of a crystal with bonds up to a reach, by pymatgen."""
    from pymatgen.analysis.graphs import StructureGraph
    from pymatgen.core import Lattice, Structure

    from matlake.materials.neighbours import neighbour_list

    structure = Structure(Lattice(crystal.lattice), crystal.numbers.tolist(), crystal.positions)
    graph = StructureGraph.from_empty_graph(structure)
    radii = np.array([0.0, *COVALENT_RADII_A])[crystal.numbers]
    found = neighbour_list(crystal, CUTOFF)
    for i in range(len(radii)):
        for e in range(found.first[i], found.first[i + 1]):
            j = found.neighbours[e]
            if found.distances[e] < reach * (radii[i] + radii[j]):
                graph.add_edge(i, int(j), to_jimage=tuple(found.shifts[e].tolist()), warn_duplicates=False)
    structure_components: Callable = dimensionality.get_structure_components
    return [part["dimensionality"] for part in structure_components(graph)]
