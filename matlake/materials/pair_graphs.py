"""Graphs of distances, for CGCNN and SchNet: symmetry-distinct atoms, their neighbours, how often each occurs."""

from dataclasses import dataclass
from typing import Self

import numba as nb
import numpy as np
from numpy.typing import NDArray

from matlake.materials.colours import distinct, mix, step
from matlake.materials.crystal import CrystalColumns
from matlake.materials.neighbours import search


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

    def take(self, rows: NDArray[np.integer]) -> Self:
        """Return the graphs of some of the crystals, in the order given."""
        atoms, atom_offsets = ranges(self.atom_offsets, rows)
        edges, edge_offsets = ranges(self.edge_offsets, atoms)
        moved = np.repeat(atom_offsets[:-1] - self.atom_offsets[rows], np.diff(atom_offsets))
        return type(self)(
            atom_offsets,
            self.numbers[atoms],
            self.weights[atoms],
            edge_offsets,
            (self.neighbours[edges] + np.repeat(moved, np.diff(edge_offsets))).astype(np.int32),
            self.distances[edges],
            self.counts[edges],
        )


def ranges(offsets: NDArray[np.int64], rows: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the elements of some rows of a ragged array one after another, and the offsets of the result."""
    sizes = offsets[rows + 1] - offsets[rows]
    new = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return np.arange(new[-1]) + np.repeat(offsets[rows] - new[:-1], sizes), new


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
    return PairGraphs(
        *_build(
            crystals.offsets,
            crystals.numbers,
            crystals.lattices,
            crystals.positions,
            cutoff,
            max_neighbours,
            resolution,
            rounds,
        )
    )


@nb.njit(nogil=True, cache=True)
def _build(offsets, numbers, lattices, positions, cutoff, most, resolution, rounds):
    crystals = len(lattices)
    atom_offsets = np.zeros(crystals + 1, dtype=np.int64)
    out_numbers = np.empty(len(numbers), dtype=np.int16)
    weights = np.empty(len(numbers))
    edge_offsets = np.zeros(len(numbers) + 1, dtype=np.int64)
    capacity = 64 * len(numbers) + 64
    neighbours = np.empty(capacity, dtype=np.int32)
    distances = np.empty(capacity)
    counts = np.empty(capacity)
    atoms = edges = 0
    for c in range(crystals):
        a, b = offsets[c], offsets[c + 1]
        first, found, _, vectors, shares = search(lattices[c], positions[a:b], cutoff, most)
        lengths = vectors[:, 3].copy()
        if edges + len(found) > capacity:
            capacity = 2 * (edges + len(found))
            neighbours = np.concatenate((neighbours[:edges], np.empty(capacity - edges, dtype=np.int32)))
            distances = np.concatenate((distances[:edges], np.empty(capacity - edges)))
            counts = np.concatenate((counts[:edges], np.empty(capacity - edges)))
        if resolution > 0:
            classes, representatives = _atom_classes(numbers[a:b], first, found, lengths, shares, resolution, rounds)
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
            low, high = first[atom], first[atom + 1]
            if resolution > 0:
                edges = _merge(
                    found[low:high], lengths[low:high], shares[low:high], classes, resolution,
                    neighbours, distances, counts, edges, atoms,
                )  # fmt: skip
            else:
                for e in range(low, high):
                    neighbours[edges] = atoms + found[e]
                    distances[edges] = lengths[e]
                    counts[edges] = shares[e]
                    edges += 1
            edge_offsets[atoms + k + 1] = edges
        atoms += len(representatives)
        atom_offsets[c + 1] = atoms
    return (
        atom_offsets,
        out_numbers[:atoms].copy(),
        weights[:atoms].copy(),
        edge_offsets[: atoms + 1].copy(),
        neighbours[:edges].copy(),
        distances[:edges].copy(),
        counts[:edges].copy(),
    )


@nb.njit(nogil=True, cache=True)
def _atom_classes(numbers, first, neighbours, lengths, shares, resolution, rounds):
    """Refine colours for as many rounds as the network has, or until nothing changes."""
    n = len(numbers)
    colours = np.empty(n, dtype=np.uint64)
    for i in range(n):
        colours[i] = mix(np.uint64(numbers[i]))
    lines = np.empty(len(neighbours), dtype=np.uint64)
    for e in range(len(neighbours)):
        lines[e] = mix(step(lengths[e], resolution) ^ mix(step(shares[e], 1e-6)))
    classes, representatives, count = distinct(colours)
    for _ in range(rounds):
        refined = np.empty(n, dtype=np.uint64)
        for i in range(n):
            total = np.uint64(0)
            for e in range(first[i], first[i + 1]):
                total += mix(colours[neighbours[e]] ^ lines[e])
            refined[i] = mix(colours[i] ^ mix(total))
        colours = refined
        classes, representatives, found = distinct(colours)
        if found in (count, n):  # a partition that a round does not split is final
            break
        count = found
    return classes, representatives


@nb.njit(nogil=True, cache=True)
def _merge(found, lengths, shares, classes, resolution, neighbours, distances, counts, edges, atoms):
    """Append the edges of one atom, equal ones once; return the number of edges then."""
    start = edges
    for e in range(len(found)):
        k = classes[found[e]]
        line = step(lengths[e], resolution)
        known = -1
        for earlier in range(edges - 1, start - 1, -1):  # sorted by distance: equal ones are close
            if step(distances[earlier], resolution) != line:
                break
            if neighbours[earlier] == atoms + k:
                known = earlier
                break
        if known >= 0:
            counts[known] += shares[e]
        else:
            neighbours[edges] = atoms + k
            distances[edges] = lengths[e]
            counts[edges] = shares[e]
            edges += 1
    return edges
