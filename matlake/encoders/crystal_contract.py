"""The contract of a crystal encoder: what must not change a vector, checked on the file itself."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.contract import Check, batch_tolerance, largest, name_of, within, worst_difference
from matlake.encoders.encoder import Encoder, open_encoder
from matlake.encoders.reference import reference_crystals
from matlake.materials.crystal import Crystal, CrystalColumns

FORBIDDEN_OPERATORS: Final = ("Scatter", "Atan", "Acos", "Asin", "NonZero", "Loop", "If", "Random")
"""Scatters are slow or lose updates with two threads; CUDA has no inverse trigonometry; the rest is not a function."""

_SIZES: Final = (1, 7)
_FEW: Final = 40
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


def _dimensions(encoder: Encoder, _: Path) -> Check:
    """Every layer has the dimension of the card."""
    crystals = _some(encoder)
    layers = [layer.output for layer in encoder.card.layers]
    outputs = encoder.session.run(layers, _inputs(encoder, crystals))
    wrong = [
        f"{layer.name}: {output.dtype} {output.shape}, the card says {layer.dim}"
        for layer, output in zip(encoder.card.layers, outputs, strict=True)
        if output.dtype != np.float32 or output.shape != (len(crystals), layer.dim)
    ]
    return Check(name_of(_dimensions), not wrong, "; ".join(wrong) or f"{len(layers)} layers")


def _finite(encoder: Encoder, _: Path) -> Check:
    """All vectors of real crystals, single atoms and isolated atoms are finite."""
    crystals = _covered(encoder)
    _all(encoder, crystals)  # raises where a value is not finite
    return Check(name_of(_finite), True, f"{len(crystals):,} crystals")


def _batch_independent(encoder: Encoder, _: Path) -> Check:
    """A vector does not depend on its batch."""
    crystals = _covered(encoder)
    whole = _all(encoder, crystals)
    scale, worst = largest(whole), 0.0
    for size in _SIZES:
        for start in range(0, min(len(crystals), _FEW * size), size):
            rows = np.arange(start, min(len(crystals), start + size))
            part = _all(encoder, crystals.take(rows))
            worst = max(worst, worst_difference([output[rows] for output in whole], part, scale))
    return within(_batch_independent, worst, batch_tolerance(encoder.card.parity_tolerance))


def _threads(encoder: Encoder, folder: Path) -> Check:
    """A vector does not depend on the number of threads."""
    crystals = _covered(encoder)
    whole = _all(encoder, crystals)
    worst = worst_difference(whole, _all(open_encoder(folder, threads=2), crystals), largest(whole))
    return within(_threads, worst, batch_tolerance(encoder.card.parity_tolerance))


def _partial(encoder: Encoder, _: Path) -> Check:
    """One layer alone equals that layer of a full run."""
    crystals = _some(encoder)
    whole = _all(encoder, crystals)
    alone = [encoder.encode(crystals, layer.name) for layer in encoder.card.layers]
    return within(_partial, worst_difference(whole, alone, largest(whole)), batch_tolerance(0))


def _input_untouched(encoder: Encoder, _: Path) -> Check:
    """The input is not changed."""
    crystals = _some(encoder)
    before = [crystals.numbers.copy(), crystals.lattices.copy(), crystals.positions.copy()]
    _all(encoder, crystals)
    same = all((a == b).all() for a, b in zip(before, _arrays(crystals), strict=True))
    return Check(name_of(_input_untouched), same, f"{len(crystals):,} crystals compared")


def _all_atoms(encoder: Encoder, _: Path) -> Check:
    """Symmetry-distinct atoms give what all atoms give."""
    assert encoder.recipe is not None  # noqa: S101 - a crystal encoder has one
    crystals = _covered(encoder)
    layers = [layer.name for layer in encoder.card.layers]
    full = encoder.encode_graphs(encoder.recipe.build(crystals, resolution=0.0), layers)
    worst = worst_difference(full, _all(encoder, crystals), largest(full))
    return within(_all_atoms, worst, batch_tolerance(encoder.card.parity_tolerance))


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


CRYSTAL_CONTRACT: Final[tuple[Callable[[Encoder, Path], Check], ...]] = (
    _operators,
    _dimensions,
    _finite,
    _batch_independent,
    _threads,
    _partial,
    _input_untouched,
    _all_atoms,
    _atom_order,
    _translation,
    _basis,
    _supercell,
)


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


def _unchanged(check: Callable[..., Check], encoder: Encoder, changes: list[Callable[[Crystal], Crystal]]) -> Check:
    crystals = _some(encoder)
    expected = _all(encoder, crystals)
    scale, worst = largest(expected), 0.0
    for change in changes:
        other = CrystalColumns.of([change(crystals[i]) for i in range(len(crystals))])
        worst = max(worst, worst_difference(expected, _all(encoder, other), scale))
    return within(check, worst, batch_tolerance(encoder.card.parity_tolerance))


def _covered(encoder: Encoder) -> CrystalColumns:
    """Return the reference crystals whose elements the encoder takes."""
    crystals = reference_crystals()
    return crystals.take([row for row, reason in enumerate(encoder.uncovered(crystals)) if reason is None])


def _some(encoder: Encoder) -> CrystalColumns:
    """Return a few of them, the hard cases at the end included."""
    crystals = _covered(encoder)
    return crystals.take(np.arange(max(0, len(crystals) - _FEW), len(crystals)))


def _all(encoder: Encoder, crystals: CrystalColumns) -> list[NDArray[np.float32]]:
    assert encoder.recipe is not None  # noqa: S101 - a crystal encoder has one
    return encoder.encode_graphs(encoder.recipe.build(crystals), [layer.name for layer in encoder.card.layers])


def _inputs(encoder: Encoder, crystals: CrystalColumns) -> dict[str, NDArray[np.generic]]:
    from matlake.encoders.graph_inputs import graph_inputs

    assert encoder.recipe is not None  # noqa: S101 - a crystal encoder has one
    return graph_inputs(encoder.recipe.build(crystals))


def _arrays(crystals: CrystalColumns) -> list[NDArray[np.generic]]:
    return [crystals.numbers, crystals.lattices, crystals.positions]
