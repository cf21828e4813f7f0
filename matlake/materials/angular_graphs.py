"""Graphs of distances and angles, for DimeNet++: symmetry-distinct messages and how they turn into one another.

A message runs along an edge, from its source j to its target i. DimeNet++ updates it from the messages that come into
j, each weighted by Legendre polynomials of the angle between the two. Messages that no such network can tell apart
(``colours``) are kept once. What enters an update from all incoming messages of one class is then a sum of Legendre
polynomials over its members, which depends on geometry only: it is made here, once for all blocks. No list of
triplets is ever written, and the network's sum over triplets becomes a product of small dense matrices.
"""

from dataclasses import dataclass
from typing import Self

import numba as nb
import numpy as np
from numpy.typing import NDArray

from matlake.materials.colours import distinct, mix, step
from matlake.materials.crystal import CrystalColumns
from matlake.materials.neighbours import search
from matlake.materials.pair_graphs import ranges


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
    return AngularGraphs(
        *_build(
            crystals.offsets,
            crystals.numbers,
            crystals.lattices,
            crystals.positions,
            cutoff,
            max_neighbours,
            degrees,
            resolution,
            rounds,
            keep_images,
        ),
        degrees,
    )


@nb.njit(nogil=True, cache=True)
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
    couplings = np.empty(1024 * len(numbers), dtype=np.float32)
    atoms = messages = entries = values = 0
    for c in range(crystals):
        a, b = offsets[c], offsets[c + 1]
        first, found, shifts, vectors, shares = search(lattices[c], positions[a:b], cutoff, most)
        owners = np.empty(len(found), dtype=np.int32)
        for i in range(b - a):
            owners[first[i] : first[i + 1]] = i
            for e in range(first[i], first[i + 1]):
                vectors[e, :3] /= vectors[e, 3]
        if resolution > 0:
            atom_colours, colours = _refine(
                numbers[a:b], first, found, owners, shifts, vectors, shares, resolution, rounds, keep_images
            )
            atom_class, atom_of, _ = distinct(atom_colours)
        else:
            atom_class = np.arange(b - a).astype(np.int32)
            atom_of = atom_class
            colours = np.arange(len(found)).astype(np.uint64)
        # messages in the order of their sources: an edge in the list of i runs from found[e] to i
        colour_class, colour_edge, count = distinct(colours)
        source = np.empty(count, dtype=np.int32)
        for m in range(count):
            source[m] = atom_class[found[colour_edge[m]]]
        by_source = np.argsort(source, kind="mergesort")
        rank = np.empty(count, dtype=np.int32)
        for m in range(count):
            rank[by_source[m]] = m

        if messages + count > len(targets):
            targets = _room(targets, messages, count)
            distances = _room(distances, messages, count)
        size = np.zeros(len(atom_of), dtype=np.int64)
        for k in atom_class:
            size[k] += 1
        m = 0
        slot = np.full(count, -1, dtype=np.int64)  # entry of a message within the atom at hand
        for k in range(len(atom_of)):
            out_numbers[atoms + k] = numbers[a + atom_of[k]]
            weights[atoms + k] = size[k] / (b - a)
            low, high = first[atom_of[k]], first[atom_of[k] + 1]
            if entries + high - low > len(incoming):
                incoming = _room(incoming, entries, high - low)
                counts = _room(counts, entries, high - low)
            begin = entries
            for e in range(low, high):
                message = rank[colour_class[e]]
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
            if values + needed > len(couplings):
                couplings = _room(couplings, values, needed)
            couplings[values : values + needed] = 0
            for o in range(out):
                e = colour_edge[by_source[m + o]]
                targets[messages + m + o] = atoms + atom_class[owners[e]]
                distances[messages + m + o] = vectors[e, 3]
                row = values + o * width * degrees
                j = found[e]
                for f in range(first[j], first[j + 1]):
                    if not _dropped(e, f, owners, found, shifts, keep_images):
                        entry = slot[rank[colour_class[f]]] - begin
                        _add_legendre(couplings, row + entry * degrees, degrees, _cosine(vectors, e, f), shares[f])
            values += needed
            m += out
            out_offsets[atoms + k + 1] = messages + m
            in_offsets[atoms + k + 1] = entries
            coupling_offsets[atoms + k + 1] = values
        messages += count
        atoms += len(atom_of)
        atom_offsets[c + 1] = atoms
    return (
        atom_offsets,
        out_numbers[:atoms].copy(),
        weights[:atoms].copy(),
        out_offsets[: atoms + 1].copy(),
        targets[:messages].copy(),
        distances[:messages].copy(),
        in_offsets[: atoms + 1].copy(),
        incoming[:entries].copy(),
        counts[:entries].copy(),
        coupling_offsets[: atoms + 1].copy(),
        couplings[:values].copy(),
    )


@nb.njit(nogil=True, cache=True)
def _room(array, used, more):
    larger = np.empty(2 * (used + more), dtype=array.dtype)
    larger[:used] = array[:used]
    return larger


@nb.njit(nogil=True, cache=True, inline="always")
def _dropped(e, f, owners, found, shifts, keep_images):
    """Say whether edge f into the source of edge e starts at the target of e, and so takes no part in its update."""
    if found[f] != owners[e]:
        return False
    if not keep_images:
        return True
    return shifts[f, 0] == -shifts[e, 0] and shifts[f, 1] == -shifts[e, 1] and shifts[f, 2] == -shifts[e, 2]


@nb.njit(nogil=True, cache=True, inline="always")
def _cosine(vectors, e, f):
    return vectors[e, 0] * vectors[f, 0] + vectors[e, 1] * vectors[f, 1] + vectors[e, 2] * vectors[f, 2]


@nb.njit(nogil=True, cache=True, inline="always")
def _add_legendre(couplings, start, degrees, cosine, share):
    """Add Y_l0 by the recurrence l P_l = (2l - 1) x P_(l-1) - (l - 1) P_(l-2)."""
    before, now = 0.0, 1.0
    for degree in range(degrees):
        couplings[start + degree] += share * np.sqrt((2 * degree + 1) / (4 * np.pi)) * now
        before, now = now, ((2 * degree + 1) * cosine * now - degree * before) / (degree + 1)


@nb.njit(nogil=True, cache=True)
def _refine(numbers, first, found, owners, shifts, vectors, shares, resolution, rounds, keep_images):
    """Colour atoms and edges; an edge is told by its ends, and by the edges into its source with their angles."""
    n, edges = len(numbers), len(found)
    colours = np.empty(edges, dtype=np.uint64)
    for e in range(edges):
        ends = mix(np.uint64(numbers[owners[e]]) ^ mix(np.uint64(numbers[found[e]])))
        colours[e] = mix(ends ^ mix(step(vectors[e, 3], resolution)) ^ step(shares[e], 1e-6))
    atom_colours = _gather(numbers, first, colours)
    _, _, count = distinct(colours)
    for _ in range(rounds):
        refined = np.empty(edges, dtype=np.uint64)
        for e in range(edges):
            j = found[e]
            total = np.uint64(0)
            for f in range(first[j], first[j + 1]):
                if not _dropped(e, f, owners, found, shifts, keep_images):
                    total += mix(colours[f] ^ mix(step(_cosine(vectors, e, f), resolution)))
            refined[e] = mix(colours[e] ^ mix(total ^ mix(atom_colours[j] ^ mix(atom_colours[owners[e]]))))
        colours = refined
        atom_colours = _gather(numbers, first, colours)
        _, _, now = distinct(colours)
        if now in (count, edges):
            break
        count = now
    return atom_colours, colours


@nb.njit(nogil=True, cache=True)
def _gather(numbers, first, colours):
    """Colour atoms by the edges into them."""
    atom_colours = np.empty(len(numbers), dtype=np.uint64)
    for i in range(len(numbers)):
        total = np.uint64(0)
        for e in range(first[i], first[i + 1]):
            total += mix(colours[e])
        atom_colours[i] = mix(np.uint64(numbers[i]) ^ mix(total))
    return atom_colours
