"""Graphs of distances and angles, for DimeNet++: symmetry-distinct messages and how they turn into one another.

A message runs along an edge, from its source j to its target i. DimeNet++ updates it from the messages that come into
j, each weighted by Legendre polynomials of the angle between the two. Messages that no such network can tell apart
(``colours``) are kept once. What enters an update from all incoming messages of one class is then a sum of Legendre
polynomials over its members, which depends on geometry only: it is made here, once for all blocks. No list of
triplets is ever written, and the network's sum over triplets becomes a product of small dense matrices.
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
from matlake.materials.colours import ascending, atom_colours, distinct, edge_kinds, mix
from matlake.materials.crystal import CrystalColumns
from matlake.materials.kernels import kernel
from matlake.materials.neighbours import search
from matlake.materials.pair_graphs import kernel_arrays, room
from matlake.materials.ragged import ranges, widest_rows

_ATOM, _X, _Y, _Z = (
    np.uint64(factor) for factor in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93)
)  # odd, without a pattern: small multiples of them add up to zero for no other reason than being zero


@dataclass(frozen=True)
class AngularGraphs:
    """The graphs of many crystals in flat arrays.

    Attributes:
        atom_offsets: int64 [b + 1]; the atoms of crystal c are ``atom_offsets[c]:atom_offsets[c + 1]``.
        numbers: int16 [atoms], atomic numbers.
        weights: float64 [atoms], share of the cell's atoms that an atom stands for; they sum to one a crystal.
        out_offsets: int64 [atoms + 1]; the messages out of atom a are ``out_offsets[a]:out_offsets[a + 1]``.
        targets: int32 [messages], index among all atoms of the atom that a message goes to.
        distances: float64 [messages] in Å.
        in_offsets: int64 [atoms + 1]; the entries of atom a in the next two are ``in_offsets[a]:in_offsets[a + 1]``.
        incoming: int32 [entries], index among all messages of a message that comes into the atom.
        counts: float64 [entries], how many such messages come in; fractional where the neighbour cap cuts a shell.
        coupling_offsets: int64 [atoms + 1]; the block of atom a in ``couplings``.
        couplings: float32; the block of an atom with p messages out and q entries in is [p, q, L]: the sum, over
            the messages in that an entry stands for, of Y_l0(cos θ) = √((2l + 1)/4π) P_l(cos θ), l < L.
        degrees: L.
    """

    atom_offsets: NDArray[np.int64]
    numbers: NDArray[np.int16]
    weights: NDArray[np.float64]
    out_offsets: NDArray[np.int64]
    targets: NDArray[np.int32]
    distances: NDArray[np.float64]
    in_offsets: NDArray[np.int64]
    incoming: NDArray[np.int32]
    counts: NDArray[np.float64]
    coupling_offsets: NDArray[np.int64]
    couplings: NDArray[np.float32]
    degrees: int

    def __len__(self) -> int:
        """Return the number of crystals."""
        return len(self.atom_offsets) - 1

    @property
    def edges(self) -> NDArray[np.int64]:
        """Messages of each crystal, int64 [b]."""
        return np.diff(self.out_offsets[self.atom_offsets])

    @property
    def widest(self) -> NDArray[np.int64]:
        """Most incoming messages of an atom of each crystal, int64 [b]."""
        return widest_rows(self.in_offsets, self.atom_offsets)

    def take(self, rows: NDArray[np.integer]) -> Self:
        """Return the graphs of some of the crystals, in the order given."""
        atoms, atom_offsets = ranges(self.atom_offsets, rows)
        messages, out_offsets = ranges(self.out_offsets, atoms)
        entries, in_offsets = ranges(self.in_offsets, atoms)
        values, coupling_offsets = ranges(self.coupling_offsets, atoms)
        sizes = np.diff(atom_offsets)
        atom_moved = np.repeat(atom_offsets[:-1] - self.atom_offsets[rows], sizes)
        old, new = self.out_offsets[self.atom_offsets[rows]], out_offsets[atom_offsets[:-1]]
        message_moved = np.repeat(new - old, sizes)
        return type(self)(
            atom_offsets,
            self.numbers[atoms],
            self.weights[atoms],
            out_offsets,
            (self.targets[messages] + np.repeat(atom_moved, np.diff(out_offsets))).astype(np.int32),
            self.distances[messages],
            in_offsets,
            (self.incoming[entries] + np.repeat(message_moved, np.diff(in_offsets))).astype(np.int32),
            self.counts[entries],
            coupling_offsets,
            self.couplings[values],
            self.degrees,
        )


def build_angular_graphs(
    crystals: CrystalColumns,
    cutoff: float,
    max_neighbours: int = 0,
    *,
    degrees: int = 7,
    resolution: float = 0.0,
    rounds: int = 1,
    keep_images: bool = True,
) -> AngularGraphs:
    """Build the graphs of many crystals.

    Args:
        crystals: The crystals.
        cutoff: In Å.
        max_neighbours: Cap, as in ``neighbour_list``; 0 for none.
        degrees: Legendre polynomials, L.
        resolution: Distances within this many Å, and cosines within this much, may be taken for equal when
            symmetry-distinct messages are looked for; 0 keeps every atom and every edge.
        rounds: Interaction blocks of the network that the graphs are for.
        keep_images: Whether the messages out of j to i include those from *other* images of i into j, as in
            nature. Networks trained with PyG lack them: it drops every triplet that begins and ends at the same
            atom of the cell.
    """
    arrays = _build(
        *kernel_arrays(crystals),
        float(cutoff),
        max_neighbours,
        degrees,
        float(resolution),
        rounds,
        keep_images,
    )
    return AngularGraphs(*(*arrays, degrees))


@kernel
def _build(
    offsets,
    numbers,
    lattices,
    positions,
    cutoff,
    most,
    degrees,
    resolution,
    rounds,
    keep_images,
):
    crystals = len(lattices)
    atom_offsets = np.zeros(crystals + 1, dtype=np.int64)
    out_numbers = np.empty(len(numbers), dtype=np.int16)
    weights = np.empty(len(numbers))
    out_offsets = np.zeros(len(numbers) + 1, dtype=np.int64)
    in_offsets = np.zeros(len(numbers) + 1, dtype=np.int64)
    coupling_offsets = np.zeros(len(numbers) + 1, dtype=np.int64)
    targets = np.empty(64 * len(numbers), dtype=np.int32)
    distances = np.empty(len(targets))
    incoming = np.empty(len(targets), dtype=np.int32)
    counts = np.empty(len(targets))
    couplings = np.empty(2048 * len(numbers), dtype=np.float32)
    recurrence = legendre_recurrence(degrees)
    atoms = messages = entries = values = 0
    for c in range(crystals):
        a, b = offsets[c], offsets[c + 1]
        first, found, shifts, vectors, shares, lines = search(lattices[c], positions[a:b], cutoff, most, resolution)
        owners, directions = edge_owners(first), unit_vectors(vectors)
        origins, ends = _endpoints(found, owners, shifts, keep_images)
        if resolution > 0:
            atom_class, atom_of, edge_class, edge_of = _refine(
                numbers[a:b], first, found, owners, directions, shares, lines, origins, ends, resolution, rounds
            )
        else:
            atom_class = np.arange(b - a).astype(np.int32)
            edge_class = np.arange(len(found)).astype(np.int32)
            atom_of, edge_of = atom_class, edge_class
        # messages in the order of their sources: an edge in the list of i runs from found[e] to i
        count = len(edge_of)
        source = np.empty(count, dtype=np.int32)
        for m in range(count):
            source[m] = atom_class[found[edge_of[m]]]
        by_source = ascending(source)
        rank = np.empty(count, dtype=np.int32)
        for m in range(count):
            rank[by_source[m]] = m

        targets = room(targets, messages, count)
        distances = room(distances, messages, count)
        size = np.zeros(len(atom_of), dtype=np.int64)
        for k in atom_class:
            size[k] += 1
        m = 0
        places = np.empty(len(found), dtype=np.int64)
        work = np.empty((3, len(found)))
        slot = np.full(count, -1, dtype=np.int64)  # entry of a message within the atom at hand
        for k in range(len(atom_of)):
            out_numbers[atoms + k] = numbers[a + atom_of[k]]
            weights[atoms + k] = size[k] / (b - a)
            low, high = first[atom_of[k]], first[atom_of[k] + 1]
            incoming = room(incoming, entries, high - low)
            counts = room(counts, entries, high - low)
            begin = entries
            for e in range(low, high):
                message = rank[edge_class[e]]
                if slot[message] < begin:
                    slot[message] = entries
                    incoming[entries] = messages + message
                    counts[entries] = 0.0
                    entries += 1
                counts[slot[message]] += shares[e]
            width = entries - begin
            out = 0
            while m + out < count and source[by_source[m + out]] == k:
                out += 1
            needed = out * width * degrees
            couplings = room(couplings, values, needed)
            for v in range(values, values + needed):
                couplings[v] = 0.0
            placed = -1
            for _ in range(out):
                e = edge_of[by_source[m]]
                targets[messages + m] = atoms + atom_class[owners[e]]
                distances[messages + m] = vectors[e, 3]
                low, high = first[found[e]], first[found[e] + 1]
                if found[e] != placed:
                    placed = found[e]
                    for f in range(low, high):
                        places[f - low] = (slot[rank[edge_class[f]]] - begin) * degrees
                add_legendre(
                    couplings, values, places, recurrence, e, low, high, directions, shares[low:high],
                    origins[low:high], ends[e], work,
                )  # fmt: skip
                values += width * degrees
                m += 1
            out_offsets[atoms + k + 1] = messages + m
            in_offsets[atoms + k + 1] = entries
            coupling_offsets[atoms + k + 1] = values
        messages += count
        atoms += len(atom_of)
        atom_offsets[c + 1] = atoms
    return (
        atom_offsets,
        out_numbers[:atoms],
        weights[:atoms],
        out_offsets[: atoms + 1],
        targets[:messages],
        distances[:messages],
        in_offsets[: atoms + 1],
        incoming[:entries],
        counts[:entries],
        coupling_offsets[: atoms + 1],
        couplings[:values],
    )


@kernel
def _endpoints(found, owners, shifts, keep_images):
    """Number atoms of all cells such that edge f takes no part in the update of edge e if ``origins[f] == ends[e]``.

    Both are seen from the source of e: f comes from where e goes to. Without images, only the atom of the cell counts.
    """
    origins = np.empty(len(found), dtype=np.uint64)
    ends = np.empty(len(found), dtype=np.uint64)
    for e in range(len(found)):
        image = np.uint64(0)
        if keep_images:
            image = np.uint64(shifts[e, 0]) * _X + np.uint64(shifts[e, 1]) * _Y + np.uint64(shifts[e, 2]) * _Z
        origins[e] = np.uint64(found[e]) * _ATOM + image
        ends[e] = np.uint64(owners[e]) * _ATOM - image
    return origins, ends


@kernel
def _refine(numbers, first, found, owners, directions, shares, lines, origins, ends, resolution, rounds):
    """Colour atoms and edges.

    Atoms are refined by distances first, which is cheap. Edges between equal atoms at equal distances are then told
    apart by the edges into their sources, with their angles.

    Returns:
        Class of each atom, one atom of each class, class of each edge, one edge of each class.
    """
    kinds = edge_kinds(lines, shares)
    atoms = atom_colours(numbers, first, found, kinds, rounds)
    colours = with_ends(kinds, atoms, found, owners)
    classes, members, count = distinct(colours)
    for _ in range(rounds):
        if count == len(colours):
            break
        size = np.zeros(count, dtype=np.int64)
        for k in classes:
            size[k] += 1
        refined = colours.copy()
        for e in range(len(colours)):
            if size[classes[e]] == 1:
                continue
            low, high = first[found[e]], first[found[e] + 1]
            total = angles_hash(e, low, high, directions, colours, origins, ends[e], resolution)
            refined[e] = mix(colours[e] ^ mix(total))
        colours = with_ends(refined, gathered(numbers, first, refined), found, owners)
        classes, members, splits = distinct(colours)
        if splits == count:  # a partition that a round does not split is final
            break
        count = splits
    atom_class, atom_of, _ = distinct(gathered(numbers, first, colours))
    return atom_class, atom_of, classes, members
