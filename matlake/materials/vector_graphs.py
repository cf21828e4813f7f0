"""Graphs of distances and directions, for TensorNet: an atom for all its rotated copies, and how edges turn features.

Features of an atom are scalars, vectors and traceless symmetric tensors. Those of an atom's copy are its own, rotated:
Q v for vectors, Q S Qᵀ for tensors (``isometries``). What an atom receives over edges of one length from the copies of
one atom is then linear in the features of that one, with the sum of the rotations as the matrix.

Vectors have three components. Tensors have five, in the orthonormal basis ``BASIS``, in which a rotation is an
orthogonal 5 by 5 matrix. The frame is the crystal's own (``neighbours.search``); no invariant depends on it.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from matlake.materials.crystal import CrystalColumns
from matlake.materials.graphs import take_edges
from matlake.materials.isometries import copies
from matlake.materials.kernels import kernel
from matlake.materials.neighbours import search
from matlake.materials.pair_graphs import equal_edge, kernel_arrays, room
from matlake.materials.ragged import widest_rows

BASIS: Final = np.zeros((5, 3, 3))
"""Orthonormal basis of the traceless symmetric 3 by 3 matrices."""

BASIS[0, 0, 1] = BASIS[0, 1, 0] = BASIS[1, 1, 2] = BASIS[1, 2, 1] = BASIS[2, 0, 2] = BASIS[2, 2, 0] = np.sqrt(1 / 2)
BASIS[3] = np.diag([1.0, -1.0, 0.0]) / np.sqrt(2)
BASIS[4] = np.diag([-1.0, -1.0, 2.0]) / np.sqrt(6)
_BASIS = BASIS.copy()


@dataclass(frozen=True)
class VectorGraphs:
    """The graphs of many crystals in flat arrays.

    An atom stands for all its copies, an edge for all edges of an atom that lead to copies of one atom at equal
    distances.

    Attributes:
        atom_offsets: int64 [b + 1]; the atoms of crystal c are ``atom_offsets[c]:atom_offsets[c + 1]``.
        numbers: int16 [atoms], atomic numbers.
        weights: float64 [atoms], share of the cell's atoms that an atom stands for; they sum to one a crystal.
        edge_offsets: int64 [atoms + 1]; the edges of atom a are ``edge_offsets[a]:edge_offsets[a + 1]``.
        neighbours: int32 [edges], index among all atoms of the neighbour that an edge comes from.
        distances: float64 [edges] in Å.
        moments: float64 [edges, 9], sums over the edges that it stands for of 1, of the unit vector u to the neighbour,
            and of the tensor u uᵀ - 1/3 in the basis.
        turns: float64 [edges, 34], sums of the rotations of the neighbours' features: of vectors [3, 3], then of
            tensors [5, 5], each column by column.
    """

    atom_offsets: NDArray[np.int64]
    numbers: NDArray[np.int16]
    weights: NDArray[np.float64]
    edge_offsets: NDArray[np.int64]
    neighbours: NDArray[np.int32]
    distances: NDArray[np.float64]
    moments: NDArray[np.float64]
    turns: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of crystals."""
        return len(self.atom_offsets) - 1

    @property
    def edges(self) -> NDArray[np.int64]:
        """Edges of each crystal, int64 [b]."""
        return np.diff(self.edge_offsets[self.atom_offsets])

    @property
    def widest(self) -> NDArray[np.int64]:
        """Most edges of an atom of each crystal, int64 [b]."""
        return widest_rows(self.edge_offsets, self.atom_offsets)

    def take(self, rows: NDArray[np.integer]) -> Self:
        """Return the graphs of some of the crystals, in the order given."""
        atoms, atom_offsets, edges, edge_offsets, neighbours = take_edges(
            self.atom_offsets, self.edge_offsets, self.neighbours, rows
        )
        return type(self)(
            atom_offsets,
            self.numbers[atoms],
            self.weights[atoms],
            edge_offsets,
            neighbours,
            self.distances[edges],
            self.moments[edges],
            self.turns[edges],
        )


def build_vector_graphs(crystals: CrystalColumns, cutoff: float, *, resolution: float = 0.0) -> VectorGraphs:
    """Build the graphs of many crystals, with all neighbours within the cutoff.

    Args:
        crystals: The crystals.
        cutoff: In Å.
        resolution: Vectors whose components differ by less than this many Å may be taken for equal when copies are
            looked for; 0 keeps every atom and every edge.
    """
    return VectorGraphs(*_build(*kernel_arrays(crystals), float(cutoff), float(resolution)))


@kernel
def _build(offsets, numbers, lattices, positions, cutoff, resolution):
    crystals = len(lattices)
    atom_offsets = np.zeros(crystals + 1, dtype=np.int64)
    out_numbers = np.empty(len(numbers), dtype=np.int16)
    weights = np.empty(len(numbers))
    edge_offsets = np.zeros(len(numbers) + 1, dtype=np.int64)
    neighbours = np.empty(32 * len(numbers) + 64, dtype=np.int32)
    distances = np.empty(len(neighbours))
    moments = np.empty(9 * len(neighbours))
    turns = np.empty(34 * len(neighbours))
    atoms = edges = 0
    for c in range(crystals):
        a, b = offsets[c], offsets[c + 1]
        n = b - a
        first, found, _, vectors, _, lines = search(lattices[c], positions[a:b], cutoff, 0, resolution)
        root, rotations = copies(numbers[a:b], first, found, vectors, lines, resolution)
        turned = np.zeros((n, 34))
        for atom in range(n):
            _spell(rotations[atom], turned, atom)
        place = np.empty(n, dtype=np.int64)
        size = np.zeros(n, dtype=np.int64)
        distinct_atoms = 0
        for atom in range(n):
            size[root[atom]] += 1
            if root[atom] == atom:
                place[atom] = distinct_atoms
                distinct_atoms += 1
        for atom in range(n):
            if root[atom] != atom:
                continue
            k = place[atom]
            out_numbers[atoms + k] = numbers[a + atom]
            weights[atoms + k] = size[atom] / n
            start = edges
            most = edges + first[atom + 1] - first[atom]
            neighbours = room(neighbours, edges, most - edges)
            distances = room(distances, edges, most - edges)
            moments = room(moments, 9 * edges, 9 * (most - edges))
            turns = room(turns, 34 * edges, 34 * (most - edges))
            for e in range(first[atom], first[atom + 1]):
                neighbour = atoms + place[root[found[e]]]
                known = edges
                if resolution > 0:
                    known = equal_edge(neighbours, distances, start, edges, neighbour, vectors[e, 3], resolution)
                if known == edges:
                    neighbours[edges] = neighbour
                    distances[edges] = vectors[e, 3]
                    for p in range(9):
                        moments[9 * edges + p] = 0.0
                    for p in range(34):
                        turns[34 * edges + p] = 0.0
                    edges += 1
                _add_moments(vectors, e, moments, 9 * known)
                for p in range(34):
                    turns[34 * known + p] += turned[found[e], p]
            edge_offsets[atoms + k + 1] = edges
        atoms += distinct_atoms
        atom_offsets[c + 1] = atoms
    return (
        atom_offsets,
        out_numbers[:atoms],
        weights[:atoms],
        edge_offsets[: atoms + 1],
        neighbours[:edges],
        distances[:edges],
        moments[: 9 * edges].reshape(edges, 9),
        turns[: 34 * edges].reshape(edges, 34),
    )


@kernel
def _spell(q, into, row):
    """Write a rotation as its matrices for vectors [3, 3] and, in the basis, for tensors [5, 5], column by column."""
    for i in range(3):
        for j in range(3):
            into[row, 3 * j + i] = q[i, j]
    for col in range(5):
        for i in range(3):
            for j in range(3):
                turned = 0.0
                for p in range(3):
                    for r in range(3):
                        turned += q[i, p] * _BASIS[col, p, r] * q[j, r]
                for k in range(5):
                    into[row, 9 + 5 * col + k] += _BASIS[k, i, j] * turned


@kernel
def _add_moments(vectors, e, into, at):
    into[at] += 1.0
    for i in range(3):
        u = vectors[e, i] / vectors[e, 3]
        into[at + 1 + i] += u
        for j in range(3):
            product = u * vectors[e, j] / vectors[e, 3]
            for k in range(5):
                into[at + 4 + k] += _BASIS[k, i, j] * product
