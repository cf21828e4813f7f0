"""Which atoms of a crystal are copies of each other, and by which rotation: for features that have directions.

A network of vectors and tensors gives an atom the rotated features of another if a rotation Q (proper or not) takes the
surroundings of one to those of the other, and the surroundings of every neighbour likewise. So a map φ of atoms is
looked for with: the edges (v, z) of each atom x, vector and neighbour, become under (Q v, φ(z)) those of φ(x). By
induction over the blocks of the network, the features of φ(x) are then those of x, rotated by Q, whatever the weights.

Maps are tried between atoms that no network of distances can tell apart (``colours``). One edge or two of an atom and
their images say what Q is; the map is then followed along all edges. First Q = 1, which finds the primitive cell of a
supercell; from then on an atom stands for its copies by translation. Nothing depends on a space group being found.
"""

import numpy as np

from matlake.materials.colours import atom_colours, distinct, edge_kinds
from matlake.materials.kernels import kernel

_ROUNDS = 16  # of colour refinement: more than any crystal needs
_NOT_PARALLEL = 0.1  # sine of the angle between the two edges that a rotation is found from
_EDGES_TRIED = 200  # times the edges of the crystal: what looking for maps may cost
_IDENTITY = np.eye(3)


@kernel
def copies(numbers, first, neighbours, vectors, lines, tolerance):
    """Find the atoms that are copies of others.

    Args:
        numbers: Atomic numbers [n].
        first: As in ``NeighbourList``, and so on; ``vectors`` and ``lines`` as ``search`` returns them.
        neighbours: [pairs].
        vectors: [pairs, 4].
        lines: [pairs].
        tolerance: Largest difference in Å of a component of a vector; 0 finds no copies.

    Returns:
        ``root`` int64 [n], the atom that stands for each, and ``turns`` float64 [n, 3, 3], the rotation of that atom's
        features to its own.
    """
    n = len(numbers)
    root = np.arange(n)
    turns = np.zeros((n, 3, 3))
    for x in range(n):
        for k in range(3):
            turns[x, k, k] = 1.0
    if tolerance <= 0:
        return root, turns
    kinds = edge_kinds(lines, np.ones(len(lines)))
    colours, _, _ = distinct(atom_colours(numbers, first, neighbours, kinds, _ROUNDS))
    image = np.full(n, -1, dtype=np.int64)
    budget = np.full(1, _EDGES_TRIED * (len(neighbours) + n))
    stands = np.arange(n)
    for x in range(n):
        for y in range(x + 1, n):
            alike = colours[x] == colours[y] and root[x] == x and root[y] == y
            if alike and _follows(
                x, y, _IDENTITY, first, neighbours, vectors, lines, colours, stands, tolerance, image, budget
            ):
                _link(image, _IDENTITY, root, turns)
    for x in range(n):
        stands[x] = root[x]
    for x in range(n):
        if root[x] != x:
            continue
        one, two = _frame(x, first, neighbours, vectors, lines, colours)
        if two < 0:
            continue
        for y in range(x + 1, n):
            if colours[x] == colours[y] and root[y] == y:
                _turn(x, y, one, two, first, neighbours, vectors, lines, colours, stands, tolerance, image, budget,
                      root, turns)  # fmt: skip
    return root, turns


@kernel
def _frame(x, first, neighbours, vectors, lines, colours):
    """Return two edges of an atom that are not parallel and have few like them; -1 for none."""
    one = two = -1
    for rank in range(2):
        fewest = first[x + 1] - first[x] + 1
        for e in range(first[x], first[x + 1]):
            if rank == 1 and _sine(vectors[one], vectors[e]) < _NOT_PARALLEL:
                continue
            like = 0
            for f in range(first[x], first[x + 1]):
                if lines[f] == lines[e] and colours[neighbours[f]] == colours[neighbours[e]]:
                    like += 1
            if like < fewest:
                fewest = like
                if rank == 0:
                    one = e
                else:
                    two = e
        if one < 0:
            break
    return one, two


@kernel
def _sine(v, w):
    c = _cross(v, w)
    return np.sqrt(c[0] ** 2 + c[1] ** 2 + c[2] ** 2) / (v[3] * w[3])


@kernel
def _cross(v, w):
    return v[1] * w[2] - v[2] * w[1], v[2] * w[0] - v[0] * w[2], v[0] * w[1] - v[1] * w[0]


@kernel
def _turn(x, y, one, two, first, neighbours, vectors, lines, colours, stands, tolerance, image, budget, root, turns):
    """Link y to x if a rotation takes x to y, trying every pair of edges of y that is like the pair of x."""
    along = _dot(vectors[one], vectors[two])
    for f in range(first[y], first[y + 1]):
        if not _alike(one, f, neighbours, lines, colours):
            continue
        for g in range(first[y], first[y + 1]):
            if not _alike(two, g, neighbours, lines, colours):
                continue
            if abs(_dot(vectors[f], vectors[g]) - along) > tolerance * (vectors[f, 3] + vectors[g, 3]):
                continue
            for sign in (1.0, -1.0):
                q = _rotation(vectors[one], vectors[two], vectors[f], vectors[g], sign)
                if _follows(x, y, q, first, neighbours, vectors, lines, colours, stands, tolerance, image, budget):
                    _link(image, q, root, turns)
                    return


@kernel
def _dot(v, w):
    return v[0] * w[0] + v[1] * w[1] + v[2] * w[2]


@kernel
def _alike(e, f, neighbours, lines, colours):
    return lines[e] == lines[f] and colours[neighbours[e]] == colours[neighbours[f]]


@kernel
def _rotation(one, two, f, g, sign):
    """Return the orthogonal matrix that takes two vectors, and ``sign`` times the one across, to others."""
    before, after = _axes(one, two), _axes(f, g)
    q = np.zeros((3, 3))
    for i in range(3):
        for j in range(3):
            q[i, j] = after[0, i] * before[0, j] + after[1, i] * before[1, j] + sign * after[2, i] * before[2, j]
    return q


@kernel
def _axes(v, w):
    """Return three orthonormal rows: along a vector, towards another, and across both."""
    axes = np.empty((3, 3))
    across = _cross(v, w)
    length = np.sqrt(across[0] ** 2 + across[1] ** 2 + across[2] ** 2)
    for k in range(3):
        axes[0, k] = v[k] / v[3]
        axes[2, k] = across[k] / length
    towards = _cross(axes[2], axes[0])
    for k in range(3):
        axes[1, k] = towards[k]
    return axes


@kernel
def _follows(x, y, q, first, neighbours, vectors, lines, colours, stands, tolerance, image, budget):
    """Say whether x → y with the rotation q goes on along all edges; ``image`` then holds the map, -1 elsewhere."""
    for z in range(len(image)):
        image[z] = -1
    image[x] = y
    waiting = [x]
    while len(waiting) > 0:
        at = waiting.pop()
        to = image[at]
        degree = first[at + 1] - first[at]
        if first[to + 1] - first[to] != degree:
            return False
        budget[0] -= degree + 1
        if budget[0] < 0:
            return False
        start = 0  # of the shell in which the image of an edge is: both lists are sorted by distance
        for k in range(degree):
            e = first[at] + k
            while start < degree and lines[first[to] + start] < lines[e]:
                start += 1
            found = -1
            for p in range(start, degree):
                f = first[to] + p
                if lines[f] != lines[e]:
                    break
                off = 0.0
                for row in range(3):
                    off = max(off, abs(q[row, 0] * vectors[e, 0] + q[row, 1] * vectors[e, 1]
                                       + q[row, 2] * vectors[e, 2] - vectors[f, row]))  # fmt: skip
                if off < tolerance:
                    found = f
                    break
            if found < 0:
                return False
            z, w = stands[neighbours[e]], stands[neighbours[found]]
            if image[z] < 0:
                if colours[z] != colours[w]:
                    return False
                image[z] = w
                waiting.append(z)
            elif image[z] != w:
                return False
    return True


@kernel
def _link(image, q, root, turns):
    """Let one atom stand for every atom and its image under a rotation."""
    for x in range(len(image)):
        y = image[x]
        if y < 0 or root[x] == root[y]:
            continue
        kept, dropped = min(root[x], root[y]), max(root[x], root[y])
        between = _times(q, turns[x])
        step = _times(_transposed(turns[y]), between)  # from the atom that stands for x to the one that stands for y
        if dropped == root[x]:
            step = _transposed(step)
        for z in range(len(root)):
            if root[z] == dropped:
                moved = _times(turns[z], step)
                for i in range(3):
                    for j in range(3):
                        turns[z, i, j] = moved[i, j]
                root[z] = kept


@kernel
def _times(a, b):
    """Return the product of two 3 by 3 matrices; written out, it compiles in a tenth of the time."""
    product = np.zeros((3, 3))
    for i in range(3):
        for j in range(3):
            product[i, j] = a[i, 0] * b[0, j] + a[i, 1] * b[1, j] + a[i, 2] * b[2, j]
    return product


@kernel
def _transposed(a):
    other = np.empty((3, 3))
    for i in range(3):
        for j in range(3):
            other[i, j] = a[j, i]
    return other
