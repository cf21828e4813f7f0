"""Strained and displaced copies of a crystal, and what their energies say of its stiffness.

Every label is a second difference of energies, so that forces and stresses at the geometry given do not matter:

- **Bulk modulus** K, from two copies that are larger and smaller: for the strain ε in all directions, E'' = 9 V K.
- **Shear modulus** G of fixed atomic coordinates, averaged over all shears (Voigt), from six copies. The shears, unit
  tensors in the five dimensions of traceless strain, are the corners of a regular simplex: they sum to zero, which
  cancels the linear terms, and the sum of their squares is the same in all directions. Six energies do what ten would
  do in pairs. E'' = 2 V G for a unit tensor.
- **Highest frequency** at the zone centre, from pairs of copies displaced along trial modes (``springs``): the
  largest of sqrt(E''), with masses in u and lengths in Å, is at most the highest frequency of the teacher's.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.export.teacher.springs import fastest_modes
from matlake.materials.crystal import Crystal

STRAIN: Final = 0.02
"""Energies in float32 resolve 1e-5 eV/atom; second differences of half of all crystals are above 3e-2 (volume) and 9e-4
(shears) with this strain. Of 0.005, 0.01 and 0.02 it agrees best with moduli of the Materials Project."""

DISPLACEMENT_A: Final = 0.05
"""Of the atom that moves most."""

MODES: Final = 4
"""One would do at less than half the cost, with frequencies that are 7 % lower and ranked nearly as well."""

_GPA: Final = 160.2176634  # of 1 eV/Å³
_PER_CM: Final = 521.4709  # sqrt(eV/(Å² u)) as a wavenumber in 1/cm


def _simplex() -> NDArray[np.float64]:
    """Return six traceless symmetric unit tensors, the corners of a regular simplex, float64 [6, 3, 3]."""
    half = np.sqrt(0.5)
    basis = np.zeros((5, 3, 3))
    basis[0] = np.diag([half, -half, 0.0])
    basis[1] = np.diag([1.0, 1.0, -2.0]) / np.sqrt(6.0)
    for place, (i, j) in enumerate(((0, 1), (0, 2), (1, 2)), start=2):
        basis[place, i, j] = basis[place, j, i] = half
    corners = np.zeros((6, 5))  # Helmert's contrasts: orthonormal, each orthogonal to (1, 1, 1, 1, 1, 1)
    for k in range(1, 6):
        corners[:k, k - 1], corners[k, k - 1] = 1.0, -k
        corners[:, k - 1] /= np.sqrt(k * (k + 1))
    corners /= np.linalg.norm(corners, axis=1)[:, None]
    shears: NDArray[np.float64] = np.einsum("ck,kij->cij", corners, basis)
    return shears


_SHEARS: Final = _simplex()


@dataclass(frozen=True)
class Probes:
    """A crystal and its copies.

    Attributes:
        copies: The crystal itself; larger, smaller; six sheared; and for each trial mode two displaced ones.
        steps: float64 [m], the factors of the trial modes.
    """

    copies: tuple[Crystal, ...]
    steps: NDArray[np.float64]


def make_probes(crystal: Crystal) -> Probes:
    """Return the copies whose energies are needed."""
    inverse = np.linalg.inv(crystal.lattice)
    strains = [STRAIN * np.eye(3), -STRAIN * np.eye(3), *(STRAIN * shear for shear in _SHEARS)]
    modes = fastest_modes(crystal, MODES)
    steps = np.array([DISPLACEMENT_A / np.linalg.norm(mode, axis=1).max() for mode in modes])
    moved = [sign * step * mode @ inverse for mode, step in zip(modes, steps, strict=True) for sign in (1.0, -1.0)]
    return Probes(
        (
            crystal,
            *(Crystal(crystal.numbers, crystal.lattice @ (np.eye(3) + e), crystal.positions) for e in strains),
            *(Crystal(crystal.numbers, crystal.lattice, crystal.positions + shift) for shift in moved),
        ),
        steps,
    )


@dataclass(frozen=True)
class Stiffness:
    """What energies say of a crystal; zero or less where it is not stable against such a change.

    Attributes:
        bulk_modulus: In GPa.
        shear_modulus: In GPa.
        frequency: In 1/cm; NaN for a cell of one atom, which has no such vibration. Negative for an imaginary one.
    """

    bulk_modulus: float
    shear_modulus: float
    frequency: float


def stiffness(probes: Probes, energies: NDArray[np.float64]) -> Stiffness:
    """Return the moduli and the highest frequency of a crystal.

    Args:
        probes: The crystal and its copies.
        energies: float64 [copies], in eV per cell.
    """
    volume = probes.copies[0].volume
    start, strained, sheared, moved = np.split(energies, [1, 3, 9])
    bulk = (strained.sum() - 2 * start[0]) / STRAIN**2 / (9 * volume)
    shear = 2 * (sheared.mean() - start[0]) / STRAIN**2 / (2 * volume)
    frequency = np.nan
    if len(probes.steps):
        curvature = ((moved.reshape(-1, 2).sum(axis=1) - 2 * start[0]) / probes.steps**2).max()
        frequency = _PER_CM * np.sign(curvature) * np.sqrt(abs(curvature))
    return Stiffness(float(bulk * _GPA), float(shear * _GPA), float(frequency))
