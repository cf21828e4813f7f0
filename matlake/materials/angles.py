"""Kernels for the angles between the edges of an atom: their Legendre polynomials, and colours by them."""

import numpy as np

from matlake.materials.colours import mix
from matlake.materials.kernels import kernel

_Y00 = np.sqrt(1 / (4 * np.pi))

_OFF_GRID = 0.381966
"""Where the steps of cosines begin: no cosine of a special angle is split by rounding."""

_FINEST_STEP = 1e-9  # the numbers of steps are 32 bits wide

_32 = np.uint64(32)
_13, _16 = np.uint32(13), np.uint32(16)
_FIRST, _SECOND, _THIRD = np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35), np.uint32(0x9E3779B1)


@kernel
def edge_owners(first):
    """Return the atom that each edge belongs to, int32 [edges]."""
    owners = np.empty(first[-1], dtype=np.int32)
    for i in range(len(first) - 1):
        for e in range(first[i], first[i + 1]):
            owners[e] = i
    return owners


@kernel
def unit_vectors(vectors):
    """Return unit vectors, [3, edges]."""
    directions = np.empty((3, len(vectors)))
    for e in range(len(vectors)):
        for k in range(3):
            directions[k, e] = vectors[e, k] / vectors[e, 3]
    return directions


@kernel
def legendre_recurrence(degrees):
    """Return a and b, [L, 2], of Y_(l+1) = a_l x Y_l - b_l Y_(l-1).

    From (l + 1) P_(l+1) = (2l + 1) x P_l - l P_(l-1), with the norms put in.
    """
    factors = np.empty((degrees, 2))
    for degree in range(degrees):
        norm = np.sqrt(2 * degree + 3)
        factors[degree, 0] = norm * np.sqrt(2 * degree + 1) / (degree + 1)
        factors[degree, 1] = norm / np.sqrt(max(1, 2 * degree - 1)) * degree / (degree + 1)
    return factors


@kernel
def add_legendre(couplings, start, places, recurrence, e, low, high, directions, shares, origins, end, work):
    """Add Y_l0 of the angles between one edge and others, for all l, at the places given."""
    x, y, z = directions[0, e], directions[1, e], directions[2, e]
    xs, ys, zs = directions[0, low:high], directions[1, low:high], directions[2, low:high]
    cosines, before, now = work[0], work[1], work[2]
    for f in range(len(shares)):
        cosines[f] = x * xs[f] + y * ys[f] + z * zs[f]
        before[f] = 0.0
        now[f] = shares[f] * _Y00 if origins[f] != end else 0.0
    for degree in range(len(recurrence)):
        a, b = recurrence[degree, 0], recurrence[degree, 1]
        total = 0.0
        for f in range(len(shares)):
            total += now[f]
            if f + 1 == len(shares) or places[f + 1] != places[f]:  # equal edges mostly follow each other
                couplings[start + places[f] + degree] += total
                total = 0.0
        for f in range(len(shares)):
            following = a * cosines[f] * now[f] - b * before[f]
            before[f] = now[f]
            now[f] = following


@kernel
def angles_hash(e, low, high, directions, colours, origins, end, resolution):
    """Hash the multiset of (colour, angle) of the edges that enter the update of edge e: ``low`` to ``high``.

    Arithmetic of 32 bits that a processor does for several edges at once: the steps of the cosines are scrambled
    (MurmurHash3's finaliser), added to the halves of the colours, and the halves multiplied (NH; Black et al.,
    CRYPTO 1999).
    """
    x, y, z = directions[0, e], directions[1, e], directions[2, e]
    xs, ys, zs = directions[0, low:high], directions[1, low:high], directions[2, low:high]
    inner, starts = colours[low:high], origins[low:high]
    scale = 1.0 / max(resolution, _FINEST_STEP)
    total = np.uint64(0)
    for f in range(high - low):
        cosine = x * xs[f] + y * ys[f] + z * zs[f]
        step = np.uint32(np.int32(np.floor(cosine * scale + _OFF_GRID)))
        step = np.uint32(np.uint32(step ^ (step >> _16)) * _FIRST)
        step = np.uint32(np.uint32(step ^ (step >> _13)) * _SECOND)
        step = np.uint32(step ^ (step >> _16))
        one = np.uint32(np.uint32(inner[f]) + step)
        other = np.uint32(np.uint32(inner[f] >> _32) + np.uint32(step * _THIRD))
        total += np.uint64(one) * np.uint64(other) if starts[f] != end else np.uint64(0)
    return total


@kernel
def with_ends(colours, atoms, found, owners):
    """Colour edges by their own colour and those of the atoms at their ends."""
    joined = np.empty(len(colours), dtype=np.uint64)
    for e in range(len(colours)):
        joined[e] = mix(colours[e] ^ mix(atoms[found[e]] ^ mix(atoms[owners[e]])))
    return joined


@kernel
def gathered(numbers, first, colours):
    """Colour atoms by the edges into them."""
    atoms = np.empty(len(numbers), dtype=np.uint64)
    for i in range(len(numbers)):
        total = np.uint64(0)
        for e in range(first[i], first[i + 1]):
            total += mix(colours[e])
        atoms[i] = mix(np.uint64(numbers[i]) ^ mix(total))
    return atoms
