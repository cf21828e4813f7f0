"""Graphs of distances, for CGCNN and SchNet: symmetry-distinct atoms, their neighbours, how often each occurs."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from matlake.materials.colours import atom_colours, distinct, edge_kinds
from matlake.materials.crystal import CrystalColumns
from matlake.materials.graphs import take_edges
from matlake.materials.kernels import kernel
from matlake.materials.neighbours import plain, search
from matlake.materials.ragged import widest_rows


@dataclass(frozen=True)
class PairGraphs:
    """The graphs of many crystals in flat arrays.

    An atom stands for all atoms of its crystal with the same surroundings, an edge for all edges of an atom that
    lead to equal atoms at equal distances.

    Attributes:
        atom_offsets: int64 [b + 1]; the atoms of crystal c are ``atom_offsets[c]:atom_offsets[c + 1]``.
        numbers: int16 [atoms], atomic numbers.
        weights: float64 [atoms], share of the cell's atoms that an atom stands for; they sum to one a crystal.
        edge_offsets: int64 [atoms + 1]; the edges of atom a are ``edge_offsets[a]:edge_offsets[a + 1]``.
        neighbours: int32 [edges], index among all atoms of the neighbour that an edge comes from.
        distances: float64 [edges] in Å.
        counts: float64 [edges], how often the edge occurs; fractional where a shell is cut by the neighbour cap.
    """

    atom_offsets: NDArray[np.int64]
    numbers: NDArray[np.int16]
    weights: NDArray[np.float64]
    edge_offsets: NDArray[np.int64]
    neighbours: NDArray[np.int32]
    distances: NDArray[np.float64]
    counts: NDArray[np.float64]

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
            self.counts[edges],
        )


def build_pair_graphs(
    crystals: CrystalColumns, cutoff: float, max_neighbours: int = 0, *, resolution: float = 0.0, rounds: int = 1
) -> PairGraphs:
    """Build the graphs of many crystals.

    Args:
        crystals: The crystals.
        cutoff: In Å.
        max_neighbours: Cap, as in ``neighbour_list``; 0 for none.
        resolution: Distances within this many Å may be taken for equal when symmetry-distinct atoms are looked for;
            0 keeps every atom and every edge.
        rounds: Interaction blocks of the network that the graphs are for.
    """
    return PairGraphs(*_build(*kernel_arrays(crystals), float(cutoff), max_neighbours, float(resolution), rounds))


def kernel_arrays(crystals: CrystalColumns) -> tuple[NDArray[Any], ...]:
    """Return the columns as the kernels take them."""
    return tuple(plain(x) for x in (crystals.offsets, crystals.numbers, crystals.lattices, crystals.positions))


@kernel
def _build(offsets, numbers, lattices, positions, cutoff, most, resolution, rounds):
    crystals = len(lattices)
    atom_offsets = np.zeros(crystals + 1, dtype=np.int64)
    out_numbers = np.empty(len(numbers), dtype=np.int16)
    weights = np.empty(len(numbers))
    edge_offsets = np.zeros(len(numbers) + 1, dtype=np.int64)
    neighbours = np.empty(64 * len(numbers) + 64, dtype=np.int32)
    distances = np.empty(len(neighbours))
    counts = np.empty(len(neighbours))
    atoms = edges = 0
    for c in range(crystals):
        a, b = offsets[c], offsets[c + 1]
        first, found, _, vectors, shares, lines = search(lattices[c], positions[a:b], cutoff, most, resolution)
        neighbours = room(neighbours, edges, len(found))
        distances = room(distances, edges, len(found))
        counts = room(counts, edges, len(found))
        if resolution > 0:
            kinds = edge_kinds(lines, shares)
            classes, representatives, _ = distinct(atom_colours(numbers[a:b], first, found, kinds, rounds))
        else:
            classes = np.arange(b - a).astype(np.int32)
            representatives = classes
        size = np.zeros(len(representatives), dtype=np.int64)
        for k in classes:
            size[k] += 1
        for k in range(len(representatives)):
            atom = representatives[k]
            out_numbers[atoms + k] = numbers[a + atom]
            weights[atoms + k] = size[k] / (b - a)
            start = edges
            for e in range(first[atom], first[atom + 1]):
                neighbour = atoms + classes[found[e]]
                known = edges
                if resolution > 0:
                    known = equal_edge(neighbours, distances, start, edges, neighbour, vectors[e, 3], resolution)
                if known == edges:
                    neighbours[edges] = neighbour
                    distances[edges] = vectors[e, 3]
                    counts[edges] = 0.0
                    edges += 1
                counts[known] += shares[e]
            edge_offsets[atoms + k + 1] = edges
        atoms += len(representatives)
        atom_offsets[c + 1] = atoms
    return (
        atom_offsets,
        out_numbers[:atoms],
        weights[:atoms],
        edge_offsets[: atoms + 1],
        neighbours[:edges],
        distances[:edges],
        counts[:edges],
    )


@kernel
def room(array, used, more):
    """Return the array, or a larger one with the same beginning, such that ``more`` elements fit behind ``used``."""
    if used + more <= len(array):
        return array
    larger = np.empty((used + more) * 3 // 2, dtype=array.dtype)
    for k in range(used):
        larger[k] = array[k]
    return larger


@kernel
def equal_edge(neighbours, distances, start, end, neighbour, distance, resolution):
    """Return the edge from start on that comes from the neighbour at the distance, or ``end``."""
    for e in range(end - 1, start - 1, -1):
        if distance - distances[e] > resolution:  # sorted by distance: no earlier one is closer
            break
        if neighbours[e] == neighbour:
            return e
    return end
