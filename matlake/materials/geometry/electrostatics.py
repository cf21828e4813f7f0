"""Charges on atoms and the electrostatic potential at their sites, from electronegativities and distances.

Every pair of atoms moves the charge s (χ_j - χ_i) from one to the other, s its bond valence exp((R - d) / 0.37 Å):
what one atom gains another loses, so that every cell is neutral. Potentials are sums of Wolf et al. (J. Chem. Phys.
110, 8254, 1999): damped, and neutral within a sphere around every atom, which approaches Ewald's sum and does not
depend on the cell.
"""

import math

import numpy as np

from matlake.materials.geometry.smooth import step_down
from matlake.materials.kernels import kernel

NAMES = (("deviation charge", "e"), ("deviation site potential", "V"))
"""The results of ``electrostatics``: standard deviations over atoms."""

DAMPING_PER_A = 0.3
COULOMB_V_A = 14.3996  # e / (4 π ε₀)
VALENCE_DECAY_A = 0.37
FADE_A = 2.0


@kernel
def electrostatics(numbers, first, neighbours, vectors, table, cutoff):
    """Return float64 [2], as ``NAMES``; arguments as for ``surroundings``."""
    n = len(numbers)
    charges = np.zeros(n)
    potentials = np.zeros(n)
    for i in range(n):
        z = numbers[i]
        for e in range(first[i], first[i + 1]):
            other = numbers[neighbours[e]]
            if other != z:
                d = vectors[e, 3]
                valence = math.exp((table[z, 1] + table[other, 1] - d) / VALENCE_DECAY_A)
                fade = step_down(d, cutoff - FADE_A, cutoff)
                charges[i] += valence * fade * (table[other, 2] - table[z, 2])
    edge = math.erfc(DAMPING_PER_A * cutoff) / cutoff
    for i in range(n):
        potentials[i] = -charges[i] * (edge + 2.0 * DAMPING_PER_A / math.sqrt(math.pi))
        for e in range(first[i], first[i + 1]):
            d = vectors[e, 3]
            if d < cutoff:
                potentials[i] += charges[neighbours[e]] * (math.erfc(DAMPING_PER_A * d) / d - edge)
    return np.array([charges.std(), COULOMB_V_A * potentials.std()])
