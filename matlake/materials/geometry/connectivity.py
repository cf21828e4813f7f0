"""How far bonds must reach to connect a crystal in one, two or three dimensions.

Bonds are added in order of d / (R_i + R_j), the distance over the sum of the covalent radii. An atom and those that it
is connected to form a chain, a layer or a framework, by the number of independent lattice translations among the closed
walks along the bonds (Gao et al., Chem. Mater. 25, 3745, 2013; Mounet et al., Nat. Nanotechnol. 13, 246, 2018). The
length at which that number first reaches 1, 2 and 3 is a continuous function of the positions, unlike the number at a
chosen length: in a layered crystal the third is far above the second.
"""

import math

import numpy as np

from matlake.materials.colours import ascending
from matlake.materials.kernels import kernel

NAMES = (
    ("bond reach, first chain", "1"),
    ("bond reach, first layer", "1"),
    ("bond reach, first framework", "1"),
    ("bond reach, all in chains", "1"),
    ("bond reach, all in layers", "1"),
    ("bond reach, all in frameworks", "1"),
)
"""The results of ``connectivity``, each the smallest d / (R_i + R_j), ``LARGEST`` where no neighbours within the cutoff
connect so far."""

LARGEST = 2.5
_PARALLEL = 1e-6  # length of the part of a unit vector outside a plane below which it lies in it


@kernel
def connectivity(numbers, first, neighbours, shifts, vectors, table):
    """Return float64 [6], as ``NAMES``; arguments as for ``surroundings``, and shifts as ``search`` returns them."""
    n = len(numbers)
    atoms, edges, reach = _bonds(numbers, first, neighbours, vectors, table)
    parents = np.arange(n)
    sizes = np.ones(n, dtype=np.int64)
    offsets = np.zeros((n, 3))  # of an atom's cell from that of its parent, such that bonds lead within one fragment
    ranks = np.zeros(n, dtype=np.int64)
    axes = np.zeros((n, 3, 3))  # orthonormal basis of each fragment's translations, in fractional coordinates
    reached = np.full(6, LARGEST)
    below = np.full(3, n)  # fragments that do not have k + 1 translations yet
    for b in ascending(reach):
        e = edges[b]
        one, one_offset = _root(parents, offsets, atoms[b])
        other, other_offset = _root(parents, offsets, neighbours[e])
        gap = np.empty(3)
        for q in range(3):
            gap[q] = shifts[e, q] + one_offset[q] - other_offset[q]
        if sizes[one] < sizes[other]:  # the larger fragment stays the root: paths stay short
            one, other = other, one
            gap = -gap
        before, before_other = ranks[one], 3
        if one == other:
            ranks[one] = _extended(axes[one], before, gap)
        else:
            parents[other] = one
            sizes[one] += sizes[other]
            offsets[other] = gap
            before_other = ranks[other]
            for k in range(before_other):
                ranks[one] = _extended(axes[one], ranks[one], axes[other, k])
        for k in range(3):
            below[k] += int(ranks[one] <= k) - int(before <= k) - int(before_other <= k)
            if ranks[one] > k:
                reached[k] = min(reached[k], reach[b])
            if below[k] == 0:
                reached[3 + k] = min(reached[3 + k], reach[b])
        if below[2] == 0:
            break
    return reached


@kernel
def _bonds(numbers, first, neighbours, vectors, table):
    """Return every pair once that is no longer than ``LARGEST``: its atom, its place among the pairs, its reach."""
    atoms = np.empty(len(neighbours), dtype=np.int64)
    edges = np.empty(len(neighbours), dtype=np.int64)
    reach = np.empty(len(neighbours))
    count = 0
    for i in range(len(numbers)):
        for e in range(first[i], first[i + 1]):
            ratio = vectors[e, 3] / (table[numbers[i], 1] + table[numbers[neighbours[e]], 1])
            if neighbours[e] >= i and ratio < LARGEST:
                atoms[count] = i
                edges[count] = e
                reach[count] = ratio
                count += 1
    return atoms[:count], edges[:count], reach[:count]


@kernel
def _root(parents, offsets, atom):
    """Return the atom that stands for a fragment, and in which cell an atom is while the former is in its own."""
    offset = np.zeros(3)
    while parents[atom] != atom:
        for q in range(3):
            offset[q] += offsets[atom, q]
        atom = parents[atom]
    return atom, offset


@kernel
def _extended(axes, rank, vector):
    """Add the direction of a vector to an orthonormal basis, unless it lies within; return the new rank."""
    length = math.sqrt(vector[0] ** 2 + vector[1] ** 2 + vector[2] ** 2)
    if rank == len(vector) or length == 0.0:
        return rank
    rest = vector / length
    for k in range(rank):
        along = rest[0] * axes[k, 0] + rest[1] * axes[k, 1] + rest[2] * axes[k, 2]
        for q in range(3):
            rest[q] -= along * axes[k, q]
    left = math.sqrt(rest[0] ** 2 + rest[1] ** 2 + rest[2] ** 2)
    if left < _PARALLEL:
        return rank
    for q in range(3):
        axes[rank, q] = rest[q] / left
    return rank + 1
