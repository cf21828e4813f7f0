"""Groups of structural attributes that were tried for the descriptor ``geometry``, in plain numpy.

Each takes a crystal and returns the group's numbers. Those that help are in the descriptor; these are here so that the
trial can be run again.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.materials.crystal import Crystal
from matlake.materials.geometry.elements import TABLE
from matlake.materials.neighbours import NeighbourList, neighbour_list

Float = NDArray[np.float64]

CUTOFF_A: Final = 8.0
_COULOMB_V_A: Final = 14.3996
_DAMPING: Final = 0.3


def statistics(values: Float) -> Float:
    """Return mean, minimum, maximum and deviation of each column [n, a], one after another."""
    return np.concatenate([values.mean(axis=0), values.min(axis=0), values.max(axis=0), values.std(axis=0)])


def step_down(x: Float, start: float, end: float) -> Float:
    """Fall from 1 at ``start`` to 0 at ``end``, smoothly."""
    t = np.clip((end - x) / (end - start), 0.0, 1.0)
    return t * t * (3 - 2 * t)


def _ratios(crystal: Crystal, found: NeighbourList) -> tuple[NDArray[np.intp], Float]:
    """Return the atom of each neighbour, and distances over sums of covalent radii."""
    atoms = np.repeat(np.arange(len(crystal.numbers)), np.diff(found.first))
    radii = TABLE[crystal.numbers, 1]
    return atoms, found.distances / (radii[atoms] + radii[found.neighbours])


def _sums(atoms: NDArray[np.intp], values: Float, n: int) -> Float:
    return np.bincount(atoms, weights=values, minlength=n).astype(np.float64)


def effective_coordination(crystal: Crystal) -> Float:
    """Return statistics of Hoppe's effective coordination number (Z. Kristallogr. 150, 23, 1979), one iteration."""
    found, n = neighbour_list(crystal, CUTOFF_A), len(crystal.numbers)
    atoms, ratio = _ratios(crystal, found)
    nearest = np.full(n, np.inf)
    np.minimum.at(nearest, atoms, ratio)
    weights = np.exp(1 - (ratio / nearest[atoms]) ** 6)
    mean = _sums(atoms, weights * ratio, n) / np.maximum(_sums(atoms, weights, n), 1e-12)
    return statistics(_sums(atoms, np.exp(1 - (ratio / mean[atoms]) ** 6), n)[:, None])


def radial_contrast(crystal: Crystal) -> Float:
    """Return the radial counts of ``geometry`` with neighbours weighted by squared differences of electronegativity."""
    found, n = neighbour_list(crystal, CUTOFF_A), len(crystal.numbers)
    atoms, ratio = _ratios(crystal, found)
    chi = TABLE[crystal.numbers, 2]
    fade = step_down(found.distances, CUTOFF_A - 1, CUTOFF_A) * (chi[atoms] - chi[found.neighbours]) ** 2
    centres = np.linspace(0.9, 2.1, 5)
    counts: Float = (np.exp(-(((ratio[:, None] - centres) / 0.2) ** 2)) * fade[:, None]).sum(axis=0) / n
    return counts


def bond_orders(crystal: Crystal) -> Float:
    """Return means and deviations of Steinhardt's Q2, Q4 and Q6 over contacts (Phys. Rev. B 28, 784, 1983)."""
    found, n = neighbour_list(crystal, CUTOFF_A), len(crystal.numbers)
    atoms, ratio = _ratios(crystal, found)
    positions = crystal.positions[found.neighbours] + found.shifts - crystal.positions[atoms]
    units = (positions @ crystal.lattice) / found.distances[:, None]
    orders = np.zeros((n, 3))
    for i in range(n):
        part = slice(found.first[i], found.first[i + 1])
        if found.first[i] == found.first[i + 1]:
            continue
        weights = step_down(ratio[part] / ratio[part].min(), 1.1, 1.3)
        near = weights > 0
        cosines = units[part][near] @ units[part][near].T
        for k, degree in enumerate((2, 4, 6)):
            legendre = np.polynomial.legendre.legval(cosines, np.eye(degree + 1)[degree])
            orders[i, k] = np.sqrt(max(weights[near] @ legendre @ weights[near], 0.0)) / weights[near].sum()
    return np.concatenate([orders.mean(axis=0), orders.std(axis=0)])


def site_potentials(crystal: Crystal) -> Float:
    """Return the mean electrostatic energy, and the extremes of the charges and potentials of ``geometry``."""
    from scipy.special import erfc

    found, n = neighbour_list(crystal, CUTOFF_A), len(crystal.numbers)
    atoms, d = np.repeat(np.arange(n), np.diff(found.first)), found.distances
    radii, chi = TABLE[crystal.numbers, 1], TABLE[crystal.numbers, 2]
    valence = np.exp((radii[atoms] + radii[found.neighbours] - d) / 0.37) * step_down(d, CUTOFF_A - 2, CUTOFF_A)
    charges = _sums(atoms, valence * (chi[found.neighbours] - chi[atoms]), n)
    edge = erfc(_DAMPING * CUTOFF_A) / CUTOFF_A
    potentials = _sums(atoms, charges[found.neighbours] * (erfc(_DAMPING * d) / d - edge), n)
    potentials = _COULOMB_V_A * (potentials - charges * (edge + 2 * _DAMPING / np.sqrt(np.pi)))
    energy = (charges * potentials).mean() / 2
    return np.array([energy, charges.min(), charges.max(), potentials.min(), potentials.max()])


TRIED: Final[dict[str, Callable[[Crystal], Float]]] = {
    "effective coordination (Hoppe)": effective_coordination,
    "radial counts by electronegativity": radial_contrast,
    "bond orders Q2, Q4, Q6 (Steinhardt)": bond_orders,
    "electrostatic energy, extremes of potentials": site_potentials,
}
