"""Graphs of distances and of the angles between the bonds of an atom, for M3GNet: symmetry-distinct atoms and edges.

M3GNet updates the edge from atom i to its neighbour j from all pairs of it with another bond of i, to k: a function of
the distance of k and a feature of k, times a Legendre polynomial of the angle between the two. What enters from all
bonds of one class is then a sum of Legendre polynomials over its members, which depends on geometry only: it is made
here, once for all blocks, and the network's sum over triplets becomes a product of small dense matrices.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from matlake.materials.angles import (
    add_legendre,
    angles_hash,
    edge_owners,
    gathered,
    legendre_recurrence,
    unit_vectors,
    with_ends,
)
from matlake.materials.colours import atom_colours, distinct, edge_kinds, mix
from matlake.materials.crystal import CrystalColumns
from matlake.materials.graphs import take_edges
from matlake.materials.kernels import kernel
from matlake.materials.neighbours import search
from matlake.materials.pair_graphs import kernel_arrays, room
from matlake.materials.ragged import ranges, widest_rows


@dataclass(frozen=True)
class TripletGraphs:
    """The graphs of many crystals in flat arrays.

    An atom stands for all atoms of its crystal with the same surroundings, an edge for all edges of an atom that no
    such network can tell apart.

    Attributes:
        atom_offsets: int64 [b + 1]; the atoms of crystal c are ``atom_offsets[c]:atom_offsets[c + 1]``.
        numbers: int16 [atoms], atomic numbers.
        weights: float64 [atoms], share of the cell's atoms that an atom stands for; they sum to one a crystal.
        edge_offsets: int64 [atoms + 1]; the edges of atom a are ``edge_offsets[a]:edge_offsets[a + 1]``, nearest first.
        neighbours: int32 [edges], index among all atoms of the atom at the other end.
        distances: float64 [edges] in Å.
        counts: float64 [edges], how often the edge occurs.
        bonds: int64 [atoms]; so many of an atom's edges, its first, are bonds, between which there are angles.
        coupling_offsets: int64 [atoms + 1]; the block of atom a in ``couplings``.
        couplings: float32; the block of an atom with p bonds is [p, p, L]: the sum, over the members of the second
            bond without the first one itself, of Y_l0(cos θ) = √((2l + 1)/4π) P_l(cos θ), l < L.
        degrees: L.
    """

    atom_offsets: NDArray[np.int64]
    numbers: NDArray[np.int16]
    weights: NDArray[np.float64]
    edge_offsets: NDArray[np.int64]
    neighbours: NDArray[np.int32]
    distances: NDArray[np.float64]
    counts: NDArray[np.float64]
    bonds: NDArray[np.int64]
    coupling_offsets: NDArray[np.int64]
    couplings: NDArray[np.float32]
    degrees: int

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
        values, coupling_offsets = ranges(self.coupling_offsets, atoms)
        return type(self)(
            atom_offsets,
            self.numbers[atoms],
            self.weights[atoms],
            edge_offsets,
            neighbours,
            self.distances[edges],
            self.counts[edges],
            self.bonds[atoms],
            coupling_offsets,
            self.couplings[values],
            self.degrees,
        )


def build_triplet_graphs(
    crystals: CrystalColumns,
    cutoff: float,
    bond_cutoff: float,
    *,
    degrees: int,
    resolution: float = 0.0,
    rounds: int = 1,
) -> TripletGraphs:
    """Build the graphs of many crystals.

    Args:
        crystals: The crystals.
        cutoff: Of the edges, in Å.
        bond_cutoff: Of the bonds, in Å; at most ``cutoff``.
        degrees: Legendre polynomials, L.
        resolution: Distances within this many Å, and cosines within this much, may be taken for equal when
            symmetry-distinct edges are looked for; 0 keeps every atom and every edge.
        rounds: Blocks of the network that the graphs are for.
    """
    arrays = _build(*kernel_arrays(crystals), float(cutoff), float(bond_cutoff), degrees, float(resolution), rounds)
    return TripletGraphs(*(*arrays, degrees))


@kernel
def _build(offsets, numbers, lattices, positions, cutoff, bond_cutoff, degrees, resolution, rounds):
    crystals = len(lattices)
    atom_offsets = np.zeros(crystals + 1, dtype=np.int64)
    out_numbers = np.empty(len(numbers), dtype=np.int16)
    weights = np.empty(len(numbers))
    edge_offsets = np.zeros(len(numbers) + 1, dtype=np.int64)
    neighbours = np.empty(64 * len(numbers) + 64, dtype=np.int32)
    distances = np.empty(len(neighbours))
    counts = np.empty(len(neighbours))
    bonds = np.zeros(len(numbers), dtype=np.int64)
    coupling_offsets = np.zeros(len(numbers) + 1, dtype=np.int64)
    couplings = np.empty(512 * len(numbers), dtype=np.float32)
    recurrence = legendre_recurrence(degrees)
    atoms = edges = values = 0
    for c in range(crystals):
        a, b = offsets[c], offsets[c + 1]
        first, found, _, vectors, shares, lines = search(lattices[c], positions[a:b], cutoff, 0, resolution)
        bond_ends = _bond_ends(first, vectors, bond_cutoff)
        owners, directions = edge_owners(first), unit_vectors(vectors)
        itself = np.arange(len(found)).astype(np.uint64)  # an edge makes no angle with itself
        if resolution > 0:
            atom_class, atom_of, edge_class, kinds = _refine(
                numbers[a:b], first, found, owners, bond_ends, directions, shares, lines, itself, resolution, rounds
            )
        else:
            atom_class = np.arange(b - a).astype(np.int32)
            edge_class = np.arange(len(found)).astype(np.int32)
            atom_of, kinds = atom_class, len(found)
        size = np.zeros(len(atom_of), dtype=np.int64)
        for k in atom_class:
            size[k] += 1
        slot = np.full(kinds, -1, dtype=np.int64)  # edge of a class within the atom at hand
        places = np.empty(len(found), dtype=np.int64)
        work = np.empty((3, len(found)))
        for k in range(len(atom_of)):
            out_numbers[atoms + k] = numbers[a + atom_of[k]]
            weights[atoms + k] = size[k] / (b - a)
            low, high, bond_end = first[atom_of[k]], first[atom_of[k] + 1], bond_ends[atom_of[k]]
            neighbours = room(neighbours, edges, high - low)
            distances = room(distances, edges, high - low)
            counts = room(counts, edges, high - low)
            members = np.empty(high - low, dtype=np.int64)
            begin = edges
            width = 0
            for e in range(low, high):
                kind = edge_class[e]
                if slot[kind] < begin:
                    slot[kind] = edges
                    neighbours[edges] = atoms + atom_class[found[e]]
                    distances[edges] = vectors[e, 3]
                    counts[edges] = 0.0
                    members[edges - begin] = e
                    edges += 1
                    if e < bond_end:
                        width += 1
                counts[slot[kind]] += 1.0
                places[e - low] = (slot[kind] - begin) * degrees
            needed = width * width * degrees
            couplings = room(couplings, values, needed)
            for v in range(values, values + needed):
                couplings[v] = 0.0
            for p in range(width):
                add_legendre(
                    couplings, values, places, recurrence, members[p], low, bond_end, directions,
                    shares[low:bond_end], itself[low:bond_end], itself[members[p]], work,
                )  # fmt: skip
                values += width * degrees
            bonds[atoms + k] = width
            edge_offsets[atoms + k + 1] = edges
            coupling_offsets[atoms + k + 1] = values
        atoms += len(atom_of)
        atom_offsets[c + 1] = atoms
    return (
        atom_offsets,
        out_numbers[:atoms],
        weights[:atoms],
        edge_offsets[: atoms + 1],
        neighbours[:edges],
        distances[:edges],
        counts[:edges],
        bonds[:atoms],
        coupling_offsets[: atoms + 1],
        couplings[:values],
    )


@kernel
def _bond_ends(first, vectors, bond_cutoff):
    """Return where the bonds of each atom end among its edges, which are sorted by distance."""
    ends = first[:-1].copy()
    for i in range(len(ends)):
        while ends[i] < first[i + 1] and vectors[ends[i], 3] <= bond_cutoff:
            ends[i] += 1
    return ends


@kernel
def _refine(numbers, first, found, owners, bond_ends, directions, shares, lines, itself, resolution, rounds):
    """Colour atoms and edges.

    Atoms are refined by distances first, which is cheap. Edges between equal atoms at equal distances are then told
    apart by the bonds that they make angles with.

    Returns:
        Class of each atom, one atom of each class, class of each edge, number of classes of edges.
    """
    kinds = edge_kinds(lines, shares)
    atoms = atom_colours(numbers, first, found, kinds, rounds)
    colours = with_ends(kinds, atoms, found, owners)
    classes, _, count = distinct(colours)
    for _ in range(rounds):
        if count == len(colours):
            break
        size = np.zeros(count, dtype=np.int64)
        for k in classes:
            size[k] += 1
        refined = colours.copy()
        for e in range(len(colours)):
            low, high = first[owners[e]], bond_ends[owners[e]]
            if size[classes[e]] == 1 or e >= high:
                continue
            total = angles_hash(e, low, high, directions, colours, itself, itself[e], resolution)
            refined[e] = mix(colours[e] ^ mix(total))
        colours = with_ends(refined, gathered(numbers, first, refined), found, owners)
        classes, _, splits = distinct(colours)
        if splits == count:  # a partition that a round does not split is final
            break
        count = splits
    atom_class, atom_of, _ = distinct(gathered(numbers, first, colours))
    return atom_class, atom_of, classes, count
