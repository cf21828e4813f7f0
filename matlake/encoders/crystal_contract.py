"""The contract of a crystal encoder: what must not change a vector, checked on the file itself."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.contract import (
    SHARED_CONTRACT,
    Check,
    Clause,
    all_layers,
    batch_tolerance,
    compare,
    largest,
    name_of,
    some,
    within,
    worst_difference,
)
from matlake.encoders.encoder import Encoder, open_crystal_encoder
from matlake.encoders.reference import covered_materials
from matlake.materials.crystal import Crystal, CrystalColumns

FORBIDDEN_OPERATORS: Final = ("Scatter", "Atan", "Acos", "Asin", "NonZero", "Loop", "If", "Random")
"""Scatters are slow or lose updates with two threads; CUDA has no inverse trigonometry; the rest is not a function."""

_ROUNDING: Final = 1e-9
_SUPERCELLS: Final = (np.diag([2, 1, 1]), np.diag([2, 2, 2]), np.array([[1, 1, 0], [-1, 1, 0], [0, 0, 2]]))
_BASES: Final = (
    np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1]]),
    np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]]),
    np.array([[1, 0, 0], [2, 1, 0], [-1, 1, 1]]),
)


def _operators(_: Encoder, folder: Path) -> Check:
    """The graph has no operator that is slow, wrong with two threads, or missing on CUDA."""
    import onnx

    from matlake.encoders.card import MODEL_FILE

    used = {node.op_type for node in onnx.load(folder / MODEL_FILE).graph.node}
    wrong = sorted(op for op in used if op.startswith(FORBIDDEN_OPERATORS))
    return Check(name_of(_operators), not wrong, ", ".join(wrong) or f"{len(used)} kinds of operators")


def _finite(encoder: Encoder, _: Path) -> Check:
    """All vectors of real crystals, single atoms and isolated atoms are finite."""
    crystals = covered_materials(encoder)
    all_layers(encoder, crystals)  # raises where a value is not finite
    return Check(name_of(_finite), True, f"{len(crystals):,} crystals")


def _all_atoms(encoder: Encoder, folder: Path) -> Check:
    """Symmetry-distinct atoms give what all atoms give."""
    opened = open_crystal_encoder(folder)
    crystals = covered_materials(encoder)
    full = opened.encode_inputs(opened.inputs(crystals, resolution=0.0), [layer.name for layer in opened.card.layers])
    return compare(_all_atoms, encoder, full, all_layers(encoder, crystals))


def _atom_order(encoder: Encoder, _: Path) -> Check:
    """A vector does not depend on the order of the atoms."""
    random = np.random.default_rng(1)

    def shuffled(crystal: Crystal) -> Crystal:
        order = random.permutation(len(crystal.numbers))
        return Crystal(crystal.numbers[order], crystal.lattice, crystal.positions[order])

    return _unchanged(_atom_order, encoder, [shuffled])


def _translation(encoder: Encoder, _: Path) -> Check:
    """A vector does not depend on the origin of the cell."""
    random = np.random.default_rng(2)

    def moved(crystal: Crystal) -> Crystal:
        return Crystal(crystal.numbers, crystal.lattice, (crystal.positions + random.random(3)) % 1.0)

    return _unchanged(_translation, encoder, [moved])


def _basis(encoder: Encoder, _: Path) -> Check:
    """A vector does not depend on the choice of the lattice vectors."""

    def changed(basis: NDArray[np.int_]) -> Callable[[Crystal], Crystal]:
        inverse = np.linalg.inv(basis)
        return lambda crystal: Crystal(crystal.numbers, basis @ crystal.lattice, crystal.positions @ inverse)

    return _unchanged(_basis, encoder, [changed(basis) for basis in _BASES])


def _supercell(encoder: Encoder, _: Path) -> Check:
    """A vector does not depend on the size of the cell."""
    return _unchanged(_supercell, encoder, [partial(supercell, matrix=matrix) for matrix in _SUPERCELLS])


CRYSTAL_CONTRACT: Final[tuple[Clause, ...]] = (
    _operators,
    _finite,
    *SHARED_CONTRACT,
    _all_atoms,
    _atom_order,
    _translation,
    _basis,
    _supercell,
)
"""What an encoder of crystals is held to."""


def supercell(crystal: Crystal, matrix: NDArray[np.int_]) -> Crystal:
    """Return the same crystal in a larger cell.

    Args:
        crystal: The crystal.
        matrix: int [3, 3]; its rows are the new cell vectors in terms of the old ones.
    """
    reach = int(np.abs(matrix).sum())
    grid = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    inverse = np.linalg.inv(matrix)
    fractional = grid @ inverse
    inside = grid[(np.abs(fractional - 0.5 + _ROUNDING) < 0.5).all(axis=1)]  # noqa: PLR2004 - from 0 up to 1
    positions = (crystal.positions[:, None] + inside[None]).reshape(-1, 3) @ inverse
    return Crystal(np.repeat(crystal.numbers, len(inside)), matrix @ crystal.lattice, positions)


def _unchanged(check: Clause, encoder: Encoder, changes: list[Callable[[Crystal], Crystal]]) -> Check:
    crystals = some(encoder)
    assert isinstance(crystals, CrystalColumns)  # noqa: S101 - clauses of encoders of crystals
    expected = all_layers(encoder, crystals)
    scale, worst = largest(expected), 0.0
    for change in changes:
        other = CrystalColumns.of([change(crystals[i]) for i in range(len(crystals))])
        worst = max(worst, worst_difference(expected, all_layers(encoder, other), scale))
    return within(check, worst, batch_tolerance(encoder.card.parity_tolerance))
