"""What surrounds each atom: nearest neighbours, bonds, and how stiffly the atom is held.

Every atom also has an imaginary neighbour of its own kind at the cutoff. It bounds what an isolated atom would make
infinite, and beside real neighbours it is too far to count.

Neighbours are chosen by two definitions, both without a jump where a shell of neighbours splits. *Bonds* compare
distances: the weight is 1 up to 1.1 times the distance of the atom's nearest neighbour, 0 from 1.3 times on, 1/2 at 1.2
times. *Contacts* compare distances over sums of covalent radii in the same manner: large atoms that touch behind small
ones count, too.
"""

import math

import numpy as np

from matlake.materials.geometry.smooth import eigenvalues, outer, step_down
from matlake.materials.kernels import kernel

NAMES = (
    ("nearest distance", "Å"),
    ("nearest distance / sum of covalent radii", "1"),
    ("coordination number", "1"),
    ("reduced mass of bonds ^ -1/2", "u^-1/2"),
    ("electronegativity difference along bonds", "1"),
    ("log sum of exp(-d / 0.7 Å) / reduced mass", "log 1/u"),
    ("log sum of d^-6 / reduced mass", "log Å^-6/u"),
    ("log stiffest direction / mass", "log 1/u"),
    ("log softest direction / mass", "log 1/u"),
    ("mass ^ -1/2", "u^-1/2"),
    ("log sum of bond valence", "1"),
    ("contacts", "1"),
)
"""The columns of ``surroundings`` with their units. Stiffness is that of springs of strength exp(-d / 0.7 Å) to all
neighbours: stiffest and softest are the largest and smallest eigenvalues of the sum of exp(-d / 0.7 Å) r̂ r̂ᵀ, the
force constants of an Einstein oscillator in the field of central forces. Bond valence is exp((R - d) / 0.37 Å), R the
sum of the covalent radii (0.37 Å: Brown and Altermatt, Acta Cryst. B 41, 244, 1985)."""

FULL, NONE = 1.1, 1.3  # of the nearest
DECAY_A = 0.7
VALENCE_DECAY_A = 0.37
FADE_A = 2.0  # springs fade out over this distance before the cutoff


@kernel
def surroundings(numbers, first, neighbours, vectors, table, cutoff):
    """Describe every atom of a crystal.

    Args:
        numbers: int16 [n], atomic numbers.
        first: int64 [n + 1], as ``neighbours.search`` returns it; so are the next two.
        neighbours: int32 [pairs].
        vectors: float64 [pairs, 4].
        table: float64 [97, 3], ``elements.TABLE``.
        cutoff: Of the neighbours, in Å.

    Returns:
        float64 [n, 12], the columns ``NAMES``; float64 [pairs], the weights of contacts; float64 [9]: the sum over all
        contacts of r̂ r̂ᵀ (six entries) and of their weights; and the sums over all springs of k d², with k as above and
        with the bond valence for k.
    """
    n = len(numbers)
    atoms = np.zeros((n, 12))
    weights = np.zeros(len(neighbours))
    total = np.zeros(9)
    tensor = np.zeros(6)
    springs = np.zeros(6)
    for i in range(n):
        mass, radius, negativity = table[numbers[i], 0], table[numbers[i], 1], table[numbers[i], 2]
        start, stop = first[i], first[i + 1]
        shortest = min(cutoff, vectors[start, 3]) if stop > start else cutoff
        ghost = cutoff / (2.0 * radius)
        nearest = ghost
        for e in range(start, stop):
            nearest = min(nearest, vectors[e, 3] / (radius + table[numbers[neighbours[e]], 1]))
        contacts, lone = 0.0, step_down(ghost / nearest, FULL, NONE)
        share = step_down(cutoff / shortest, FULL, NONE)
        k = math.exp(-cutoff / DECAY_A)
        held = k * 2.0 / mass
        total[7] += k * cutoff * cutoff
        valences = math.exp((2.0 * radius - cutoff) / VALENCE_DECAY_A)
        total[8] += valences * cutoff * cutoff
        held6 = cutoff**-6.0 * 2.0 / mass
        averaged, inverse_mass, difference, bonds = share, share * math.sqrt(2.0 / mass), 0.0, 0.0
        springs[:3], springs[3:] = k / 3.0, 0.0
        tensor[:3] += lone / 3.0
        for e in range(start, stop):
            z = numbers[neighbours[e]]
            d = vectors[e, 3]
            fade = step_down(d, cutoff - FADE_A, cutoff)
            reduced = 1.0 / mass + 1.0 / table[z, 0]
            k = math.exp(-d / DECAY_A) * fade
            held += k * reduced
            held6 += fade * reduced / (d * d * d) ** 2
            outer(vectors[e], springs, k)
            total[7] += k * d * d
            valence = math.exp((radius + table[z, 1] - d) / VALENCE_DECAY_A) * fade
            valences += valence
            total[8] += valence * d * d
            weights[e] = step_down(d / (radius + table[z, 1]) / nearest, FULL, NONE)
            if weights[e] > 0.0:
                contacts += weights[e]
                outer(vectors[e], tensor, weights[e])
            weight = step_down(d / shortest, FULL, NONE)
            if weight > 0.0:
                bonds += weight
                inverse_mass += weight * math.sqrt(reduced)
                difference += weight * abs(negativity - table[z, 2])
        averaged += bonds
        held_most = eigenvalues(springs)
        atoms[i, 0] = shortest
        atoms[i, 1] = nearest
        atoms[i, 2] = bonds
        atoms[i, 3] = inverse_mass / averaged
        atoms[i, 4] = difference / averaged
        atoms[i, 5] = math.log(held)
        atoms[i, 6] = math.log(held6)
        atoms[i, 7] = math.log(held_most[2] / mass)
        atoms[i, 8] = math.log(held_most[0] / mass)
        atoms[i, 9] = 1.0 / math.sqrt(mass)
        atoms[i, 10] = math.log(valences)
        atoms[i, 11] = contacts
        total[6] += contacts + lone
    for q in range(6):
        total[q] = tensor[q]
    return atoms, weights, total
