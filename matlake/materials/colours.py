"""Colour refinement: which atoms and edges of a crystal no message-passing network can tell apart.

Atoms start with the colour of their element; again and again, an atom's new colour is a hash of its own and of the
multiset of (colour, distance) of its neighbours (Weisfeiler and Leman, 1968). After t rounds, atoms of one colour have
equal features after t interaction blocks of any network that sees distances only, whatever its weights. So one atom a
colour is enough, and symmetric crystals need a few atoms instead of dozens; a supercell needs those of its primitive
cell. Multisets are hashed as sums of 64-bit hashes, which depend on no order.
"""

import numba as nb
import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_30, _27, _31 = np.uint64(30), np.uint64(27), np.uint64(31)


@nb.njit(nogil=True, cache=True, inline="always")
def mix(value):
    """Return a 64-bit hash of a 64-bit number (splitmix64; Steele et al., OOPSLA 2014)."""
    value = np.uint64(value) + _GOLDEN
    value = (value ^ (value >> _30)) * _FIRST
    value = (value ^ (value >> _27)) * _SECOND
    return value ^ (value >> _31)


@nb.njit(nogil=True, cache=True, inline="always")
def step(value, resolution):
    """Return the number of the step of a scale that a value falls on."""
    return np.uint64(np.int64(np.floor(value / resolution + 0.5)))


@nb.njit(nogil=True, cache=True)
def distinct(colours):
    """Number the colours: return the class of each element, one element of each class, and the number of classes.

    Classes are in the order of their colours, which no order of atoms can change.
    """
    order = np.argsort(colours, kind="mergesort")
    classes = np.empty(len(colours), dtype=np.int32)
    representatives = np.empty(len(colours), dtype=np.int32)
    count = 0
    for k in range(len(order)):
        if k == 0 or colours[order[k]] != colours[order[k - 1]]:
            representatives[count] = order[k]
            count += 1
        classes[order[k]] = count - 1
    return classes, representatives[:count].copy(), count
