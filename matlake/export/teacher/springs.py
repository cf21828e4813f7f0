"""Which way the atoms of a crystal move in its fastest vibrations, guessed from springs between neighbours.

The frequencies of such springs are worth little, but the directions are nearly those of a real potential: the energy of
the teacher along them is what counts.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.materials.crystal import Crystal
from matlake.materials.geometry.elements import MASSES_U
from matlake.materials.neighbours import neighbour_list

_CUTOFF_A: Final = 5.0
_EXPONENT: Final = 6.0  # of all that were tried on 500 measured crystals, the one whose modes are the stiffest
_ACROSS: Final = 0.1  # stiffness of a spring across its direction, over that along it
_MASSES: Final = np.array(MASSES_U)


def fastest_modes(crystal: Crystal, count: int) -> NDArray[np.float64]:
    """Return the fastest vibrations of a crystal of springs, in which all cells move alike.

    A spring joins every two atoms within 5 Å; its stiffness falls with the sixth power of their distance.

    Args:
        crystal: n atoms.
        count: How many modes; fewer are returned of a crystal that has fewer.

    Returns:
        float64 [m, n, 3], displacements in Å, fastest mode first, of unit length where they are weighted by mass
        (in u): ``sum(mass * displacement²) = 1``. None of them moves the crystal as a whole; a cell of one atom has
        no mode.
    """
    n = len(crystal.numbers)
    found = neighbour_list(crystal, _CUTOFF_A)
    owner, neighbour = np.repeat(np.arange(n), np.diff(found.first)), found.neighbours
    vectors = (crystal.positions[neighbour] + found.shifts - crystal.positions[owner]) @ crystal.lattice
    along = vectors / found.distances[:, None]
    springs = along[:, :, None] * along[:, None, :] + _ACROSS * np.eye(3)
    springs *= (found.distances**-_EXPONENT)[:, None, None]
    dynamical = np.zeros((n, n, 3, 3))
    np.add.at(dynamical, (owner, owner), springs)
    np.add.at(dynamical, (owner, neighbour), -springs)
    roots = np.sqrt(_MASSES[crystal.numbers - 1])
    dynamical /= (roots[:, None] * roots)[:, :, None, None]
    _, vectors = np.linalg.eigh(dynamical.transpose(0, 2, 1, 3).reshape(3 * n, 3 * n))
    kept = min(count, 3 * n - 3)
    modes: NDArray[np.float64] = vectors.T[::-1][:kept].reshape(kept, n, 3) / roots[:, None]
    return modes
