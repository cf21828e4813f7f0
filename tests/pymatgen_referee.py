"""pymatgen as referee: what it makes of the same text, and where that differs from our crystal."""

import warnings
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from matlake.errors import StructureError
from matlake.materials.crystal import Crystal, make_crystal

if TYPE_CHECKING:
    from pymatgen.core.structure import Structure

POSITION_TOLERANCE: Final = 1e-4
"""Fractions of a cell edge: pymatgen moves coordinates this close to 1/3 and 2/3 onto them."""

VOLUME_TOLERANCE: Final = 1e-8
"""Relative."""


def read_with_pymatgen(text: str) -> Crystal:
    """Read the first crystal of a CIF with pymatgen.

    Raises:
        StructureError: pymatgen reads no ordered crystal.
    """
    from pymatgen.io.cif import CifParser

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            structure = CifParser.from_str(text, check_cif=False).parse_structures(primitive=False)[0]
        except Exception as error:  # its parser raises whatever a wrong text makes it run into
            raise StructureError(f"pymatgen: {error}") from error
    return from_pymatgen(structure)


def from_pymatgen(structure: "Structure") -> Crystal:
    """Return the crystal of a pymatgen structure.

    Raises:
        StructureError: It is disordered, or none of ours.
    """
    if not structure.is_ordered:
        raise StructureError("pymatgen: disordered")
    numbers = [site.specie.Z for site in structure]
    return make_crystal(numbers, structure.lattice.matrix, structure.frac_coords, max_atoms=len(numbers))


def difference(crystal: Crystal, other: Crystal) -> str:
    """Say in what two crystals differ whose cells have the same edges and angles; ``""`` where they agree.

    Atoms may be in any order and each in any periodic image.

    Args:
        crystal: One.
        other: The other; the orientation of its cell does not matter.
    """
    return _cell_difference(crystal, other) or _site_difference(crystal, other)


def _cell_difference(crystal: Crystal, other: Crystal) -> str:
    edges = [np.linalg.norm(one.lattice, axis=1) for one in (crystal, other)]
    if not np.allclose(edges[0], edges[1], rtol=VOLUME_TOLERANCE):
        return f"cell edges {edges[0]} against {edges[1]} Å"
    if abs(crystal.volume - other.volume) > VOLUME_TOLERANCE * other.volume:
        return f"volume {crystal.volume} against {other.volume} Å³"
    return ""


def _site_difference(crystal: Crystal, other: Crystal) -> str:
    if len(crystal.numbers) != len(other.numbers):
        return f"{len(crystal.numbers)} sites against {len(other.numbers)}"
    if crystal.composition != other.composition:
        return f"composition {crystal.composition.reduced_formula} against {other.composition.reduced_formula}"
    farthest = 0.0
    for z in np.unique(crystal.numbers):
        mine, theirs = (one.positions[one.numbers == z] for one in (crystal, other))
        if len(mine) != len(theirs):
            return f"{len(mine)} sites of element {z} against {len(theirs)}"
        apart = _apart(mine, theirs)
        nearest = apart.argmin(axis=1)
        if len(np.unique(nearest)) < len(nearest):
            return f"two sites of element {z} have the same counterpart"
        farthest = max(farthest, float(apart.min(axis=1).max()))
    return "" if farthest <= POSITION_TOLERANCE else f"a site is {farthest:.2g} of an edge away from its counterpart"


def _apart(mine: NDArray[np.float64], theirs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far apart sites are, in fractions of the edge on which they are farthest: float64 [n, m]."""
    difference = mine[:, None] - theirs[None]
    apart: NDArray[np.float64] = np.abs(difference - np.rint(difference)).max(axis=2)
    return apart
