"""What is drawn of a crystal: the atoms of its cell, their images on its faces, bonds."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.materials.crystal import Crystal
from matlake.materials.periodic_table import SYMBOLS

MOST_DRAWN: Final = 300
"""Atoms in a drawing, images included; of larger cells the first ones."""

_ON_FACE: Final = 1e-3  # fractional
_BONDED: Final = 1.15
"""Atoms closer than so many times the sum of their covalent radii are joined."""


def draw(crystal: Crystal) -> dict[str, Any]:
    """Return a drawing.

    Atoms on a face, an edge or a corner of the cell are drawn on the opposite ones as well. Between metals there are no
    bonds where there is anything else.

    Returns:
        ``formula``; ``atoms``: atoms of the cell; ``lattice``: cell vectors in Å, one a row; ``edges_A`` and
        ``angles_deg`` of the cell; ``volume_A3``; ``elements``: symbols with covalent radii in Å; ``sites``: element,
        by its place in ``elements``, and Cartesian position in Å of each atom drawn; ``bonds``: pairs of sites;
        ``complete``: whether all atoms are drawn.
    """
    import gemmi

    every, fractional = _with_images(crystal)
    numbers, fractional = every[:MOST_DRAWN], fractional[:MOST_DRAWN]
    species, kinds = np.unique(numbers, return_inverse=True)
    elements = [gemmi.Element(SYMBOLS[z - 1]) for z in species.tolist()]
    positions = fractional @ crystal.lattice
    radii = np.array([element.covalent_r for element in elements])
    metals = np.array([element.is_metal for element in elements])
    edges = np.linalg.norm(crystal.lattice, axis=1)
    cosines = (crystal.lattice @ crystal.lattice.T / np.outer(edges, edges))[[1, 0, 0], [2, 2, 1]]
    return {
        "formula": crystal.composition.reduced_formula,
        "atoms": len(crystal.numbers),
        "lattice": crystal.lattice.tolist(),
        "edges_A": edges.tolist(),
        "angles_deg": np.degrees(np.arccos(np.clip(cosines, -1.0, 1.0))).tolist(),
        "volume_A3": crystal.volume,
        "elements": [{"symbol": element.name, "radius_A": element.covalent_r} for element in elements],
        "sites": [[kind, *place] for kind, place in zip(kinds.tolist(), np.round(positions, 4).tolist(), strict=True)],
        "bonds": _bonds(positions, radii[kinds], metals[kinds]).tolist(),
        "complete": len(every) <= MOST_DRAWN,
    }


def _with_images(crystal: Crystal) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """Return the atoms of the cell first, then their images on opposite faces."""
    inside = crystal.positions - np.floor(crystal.positions + _ON_FACE)
    numbers, places = [crystal.numbers], [inside]
    for shift in np.ndindex(2, 2, 2):
        if any(shift):
            moved = np.abs(inside[:, np.flatnonzero(shift)]) < _ON_FACE
            on_face = moved.all(axis=1)
            numbers.append(crystal.numbers[on_face])
            places.append(inside[on_face] + shift)
    return np.concatenate(numbers), np.concatenate(places)


def _bonds(positions: NDArray[np.float64], radii: NDArray[np.float64], metals: NDArray[np.bool_]) -> NDArray[np.intp]:
    distances = np.linalg.norm(positions[:, None] - positions[None], axis=2)
    bonded = distances < _BONDED * (radii[:, None] + radii[None])
    if not metals.all():
        bonded &= ~(metals[:, None] & metals[None])
    return np.argwhere(np.triu(bonded, 1))
