"""Colour refinement: which atoms and edges of a crystal no message-passing network can tell apart.

Atoms start with the colour of their element; again and again, an atom's new colour is a hash of its own and of the
multiset of (colour, distance) of its neighbours (Weisfeiler and Leman, 1968). After t rounds, atoms of one colour have
equal features after t interaction blocks of any network that sees distances only, whatever its weights. So one atom a
colour is enough, and symmetric crystals need a few atoms instead of dozens; a supercell needs those of its primitive
cell. Multisets are hashed as sums of 64-bit hashes, which depend on no order.
"""

import numpy as np

from matlake.materials.kernels import kernel

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_30, _27, _31 = np.uint64(30), np.uint64(27), np.uint64(31)

_RUN = 12  # elements that are sorted by insertion before runs are merged


@kernel
def mix(value):
    """Return a 64-bit hash of a 64-bit number (splitmix64; Steele et al., OOPSLA 2014)."""
    value = np.uint64(value) + _GOLDEN
    value = (value ^ (value >> _30)) * _FIRST
    value = (value ^ (value >> _27)) * _SECOND
    return value ^ (value >> _31)


@kernel
def ascending(keys):
    """Return the order that sorts keys, equal ones as they stand (numba's own argsort takes longer to compile)."""
    n = len(keys)
    order = np.empty(n, dtype=np.int64)
    for start in range(0, n, _RUN):
        for k in range(start, min(start + _RUN, n)):
            at = k
            while at > start and keys[order[at - 1]] > keys[k]:
                order[at] = order[at - 1]
                at -= 1
            order[at] = k
    merged = np.empty(n, dtype=np.int64)
    width = _RUN
    while width < n:
        for start in range(0, n, 2 * width):
            middle, stop = min(start + width, n), min(start + 2 * width, n)
            left, right = start, middle
            for k in range(start, stop):
                if left < middle and (right >= stop or keys[order[left]] <= keys[order[right]]):
                    merged[k] = order[left]
                    left += 1
                else:
                    merged[k] = order[right]
                    right += 1
        order, merged = merged, order
        width *= 2
    return order


@kernel
def distinct(colours):
    """Number the colours: return the class of each element, one element of each class, and the number of classes.

    Classes are in the order of their colours, which no order of atoms can change.
    """
    n = len(colours)
    size = 16
    while size < 2 * n:
        size *= 2
    last = np.uint64(size - 1)
    table = np.full(size, -1, dtype=np.int32)
    seen = np.empty(n, dtype=np.int32)
    firsts = np.empty(n, dtype=np.int32)
    count = 0
    for k in range(n):
        place = np.int64(colours[k] & last)
        while table[place] >= 0 and colours[firsts[table[place]]] != colours[k]:
            place = (place + 1) & (size - 1)
        if table[place] < 0:
            table[place] = count
            firsts[count] = k
            count += 1
        seen[k] = table[place]
    keys = np.empty(count, dtype=np.uint64)
    for k in range(count):
        keys[k] = colours[firsts[k]]
    order = ascending(keys)
    rank = np.empty(count, dtype=np.int32)
    representatives = np.empty(count, dtype=np.int32)
    for k in range(count):
        rank[order[k]] = k
        representatives[k] = firsts[order[k]]
    for k in range(n):
        seen[k] = rank[seen[k]]
    return seen, representatives, count


@kernel
def edge_kinds(lines, shares):
    """Colour edges by the line that their distance belongs to, and by their weight under the neighbour cap."""
    kinds = np.empty(len(lines), dtype=np.uint64)
    for e in range(len(lines)):
        kinds[e] = mix(np.uint64(lines[e]) ^ mix(np.uint64(1e6 * shares[e] + 0.5)))
    return kinds


@kernel
def atom_colours(numbers, first, neighbours, kinds, rounds):
    """Refine the colours of atoms for as many rounds as the network has blocks, or until nothing changes."""
    n = len(numbers)
    colours = np.empty(n, dtype=np.uint64)
    for i in range(n):
        colours[i] = mix(np.uint64(numbers[i]))
    _, _, count = distinct(colours)
    for _ in range(rounds):
        refined = np.empty(n, dtype=np.uint64)
        for i in range(n):
            total = np.uint64(0)
            for e in range(first[i], first[i + 1]):
                total += mix(colours[neighbours[e]] ^ kinds[e])
            refined[i] = mix(colours[i] ^ mix(total))
        colours = refined
        _, _, found = distinct(colours)
        if found in (count, n):  # a partition that a round does not split is final
            break
        count = found
    return colours
