"""Graphs with directions: an atom for all its rotated copies, and the outputs of all atoms."""

import numpy as np
import pytest
import sample_crystals
from sample_crystals import (
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

from matlake.encoders.graph_inputs import graph_inputs
from matlake.materials.crystal import Crystal, CrystalColumns
from matlake.materials.graph_recipe import SYMMETRY_RESOLUTION_A, GraphRecipe
from matlake.materials.isometries import copies
from matlake.materials.neighbours import plain, search
from matlake.materials.vector_graphs import BASIS, VectorGraphs

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from graph_networks import randomised  # noqa: E402 - after the skip

from matlake.networks.rearranged_tensornet import FastTensorNet  # noqa: E402
from matlake.networks.tensornet import TensorNet, decompose, square  # noqa: E402
from matlake.networks.vector_batches import vector_batch  # noqa: E402

RECIPE = GraphRecipe("vectors", 4.5, 0, blocks=2)


@pytest.fixture(scope="module")
def network() -> TensorNet:
    torch.manual_seed(1)
    return randomised(TensorNet(units=8, cutoff=RECIPE.cutoff_A))


def build(*crystals: Crystal, resolution: float = SYMMETRY_RESOLUTION_A) -> VectorGraphs:
    return RECIPE.build(CrystalColumns.of(list(crystals)), resolution=resolution)


@torch.no_grad()
def of_all_atoms(network: TensorNet, *crystals: Crystal) -> dict[str, torch.Tensor]:
    return network(vector_batch(build(*crystals, resolution=0.0), torch.float64))


@torch.no_grad()
def of_distinct_atoms(network: TensorNet, *crystals: Crystal) -> dict[str, torch.Tensor]:
    arrays = graph_inputs(build(*crystals))
    given = [torch.from_numpy(array) for array in arrays.values()]
    found = FastTensorNet(network).double()(*(x.double() if x.is_floating_point() else x for x in given))
    names = [*(str(k) for k in range(3)), *(f"{k}_std" for k in range(3)), "prediction"]
    return dict(zip(names, found, strict=True))


def difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """Return the largest difference in any layer, relative to the largest mean; deviations are zero by symmetry."""
    assert one.keys() == other.keys()
    scale = min(float(values.abs().max()) for name, values in one.items() if not name.endswith("_std"))
    assert scale > 0.01
    return max(float((values - other[name]).abs().max()) / scale for name, values in one.items())


def test_distinct_atoms_give_what_all_atoms_give_on_real_crystals(network, real_crystals) -> None:
    crystals = [one for one in real_crystals[::6] if len(one.numbers) <= 24]
    assert (
        difference(of_all_atoms(network, *crystals), of_distinct_atoms(network, *crystals)) < 2e-5
    )  # positions that are equal within 1e-5 Å are taken for equal


ORBITS = {"fcc": 1, "fcc_primitive": 1, "hcp": 1, "diamond": 1, "rock_salt": 2, "caesium_chloride": 2, "perovskite": 3}


@pytest.mark.parametrize(("name", "atoms"), [*ORBITS.items(), ("water_in_a_box", 2), ("isolated_atom", 1)])
def test_one_atom_stands_for_its_orbit(network, name, atoms) -> None:
    crystal = getattr(sample_crystals, name)()
    graphs = build(crystal)
    assert len(graphs.numbers) == atoms
    assert graphs.weights.sum() == pytest.approx(1)
    if graphs.edges.sum():
        assert difference(of_all_atoms(network, crystal), of_distinct_atoms(network, crystal)) < 1e-6


def test_without_symmetry_every_atom_stays(network) -> None:
    crystal = jiggled(rock_salt(), 0.05)
    graphs = build(crystal)
    assert len(graphs.numbers) == len(crystal.numbers)
    assert difference(of_all_atoms(network, crystal), of_distinct_atoms(network, crystal)) < 1e-6


def test_nothing_depends_on_how_a_crystal_is_written(network) -> None:
    low = jiggled(perovskite(), 0.1)
    others = [shuffled(low), translated(low), rotated(low), mirrored(low), supercell(low, np.diag([2, 1, 1]))]
    expected = of_distinct_atoms(network, low)
    for other in others:
        assert difference(expected, of_distinct_atoms(network, other)) < 1e-6
    assert len(build(supercell(low, np.diag([2, 1, 1]))).numbers) == len(low.numbers)


def test_features_of_equivalent_atoms_are_rotated_copies_and_their_invariants_equal(network) -> None:
    crystal = water_in_a_box()
    features = []
    hook = network.layers[-1].register_forward_hook(lambda _, __, x: features.append(x))
    of_all_atoms(network, crystal)
    hook.remove()
    lattice, positions, cutoff = plain(crystal.lattice), plain(crystal.positions), RECIPE.cutoff_A
    first, found, _, vectors, _, lines = search(lattice, positions, cutoff, 0, SYMMETRY_RESOLUTION_A)
    root, turns = copies(crystal.numbers, first, found, vectors, lines, SYMMETRY_RESOLUTION_A)
    one, other = (atom for atom in range(3) if crystal.numbers[atom] == 1)
    assert root[other] == root[one] == one
    turn = torch.from_numpy(turns[other])
    before, after = (decompose(features[0][atom]) for atom in (one, other))
    for part, copy, sign in zip(before, after, (1, torch.linalg.det(turn), 1), strict=True):
        assert part.abs().max() > 1e-3
        torch.testing.assert_close(sign * (turn @ part @ turn.T), copy)  # a vector's matrix changes sign in a mirror
        torch.testing.assert_close(square(part), square(copy))
    for part, copy in zip(before[1:], after[1:], strict=True):
        assert not torch.allclose(part, copy, rtol=0.1)  # the tensors themselves differ


def test_rotations_of_tensors_are_orthogonal_in_the_basis() -> None:
    flat = BASIS.reshape(5, 9)
    np.testing.assert_allclose(flat @ flat.T, np.eye(5), atol=1e-12)
    graphs = build(water_in_a_box())
    single = graphs.turns[graphs.moments[:, 0] == 1]
    assert len(single)
    for turn in single[:, 9:].reshape(-1, 5, 5):
        np.testing.assert_allclose(turn @ turn.T, np.eye(5), atol=1e-6)


def test_graphs_are_taken_apart_and_batched_alike(network) -> None:
    crystals = [rock_salt(), isolated_atom(), perovskite(), hcp()]
    part, alone = build(*crystals).take(np.array([3, 0])), build(hcp(), rock_salt())
    for name in ("numbers", "neighbours", "distances", "moments", "turns"):
        np.testing.assert_allclose(getattr(part, name), getattr(alone, name))
    together = of_distinct_atoms(network, *crystals)
    for row, crystal in enumerate(crystals):
        for name, value in of_distinct_atoms(network, crystal).items():
            torch.testing.assert_close(value[0], together[name][row])


def test_the_reference_refuses_atoms_that_stand_for_others() -> None:
    with pytest.raises(ValueError, match="resolution 0"):
        vector_batch(build(rock_salt()))


def test_a_large_cell_of_one_material_is_small(network) -> None:
    crystal = supercell(rock_salt(), np.diag([6, 6, 7]))
    assert len(crystal.numbers) > 2000
    assert len(build(crystal).numbers) == 2
    assert difference(of_distinct_atoms(network, rock_salt()), of_distinct_atoms(network, crystal)) < 1e-6
