"""Graphs of atoms, bonds and the angles between bonds, for CHGNet: the symmetry-distinct ones, with their counts.

Atoms exchange messages with all neighbours within a cutoff. Neighbours within a second, shorter one are bonded. The
two directions of a bond share one feature, which is updated at both its ends from the other bonds of the atom there
and the angles to them. Atoms, messages, bonds, ends and angles that no such network can tell apart (``colours``) are
kept once, with how often they occur.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from matlake.materials.colours import atom_colours, distinct, edge_kinds, mix
from matlake.materials.crystal import CrystalColumns
from matlake.materials.kernels import kernel
from matlake.materials.neighbours import search
from matlake.materials.pair_graphs import kernel_arrays, room
from matlake.materials.ragged import offsets_of, ranges, widest_rows

SHRINK: Final = 1 - 1e-6
"""CHGNet multiplies cosines by this, so that no angle is exactly 0 or π, where the arccosine has no derivative."""

_OFF_GRID: Final = 0.381966  # where the steps of angles begin: no special angle is split by rounding


@dataclass(frozen=True)
class BondGraphs:
    """The graphs of many crystals in flat arrays.

    Attributes:
        atom_offsets: int64 [b + 1]; the atoms of crystal c are ``atom_offsets[c]:atom_offsets[c + 1]``.
        numbers: int16 [atoms], atomic numbers.
        weights: float64 [atoms], share of the cell's atoms that an atom stands for; they sum to one a crystal.
        edge_offsets: int64 [atoms + 1]; the messages into atom a are ``edge_offsets[a]:edge_offsets[a + 1]``.
        neighbours: int32 [messages], index among all atoms of the atom that a message comes from.
        distances: float64 [messages] in Å.
        counts: float64 [messages], how often a message occurs.
        bonds: int32 [messages], index among all bonds of the bond it runs along; -1 beyond the bond cutoff.
        bond_offsets: int64 [b + 1], bonds of each crystal.
        bond_distances: float64 [bonds] in Å.
        bond_ends: int32 [bonds, 2], index among all ends of the two ends of a bond; equal where they cannot be told
            apart.
        end_offsets: int64 [b + 1], ends of each crystal.
        end_atoms: int32 [ends], the atom of an end.
        end_bonds: int32 [ends], its bond.
        angle_offsets: int64 [ends + 1]; the angles at end k are ``angle_offsets[k]:angle_offsets[k + 1]``.
        angle_bonds: int32 [angles], the other bond of an angle.
        angles: float64 [angles] in radians, arccos of ``SHRINK`` times the cosine between the two directions away
            from the atom.
        angle_counts: float64 [angles], how often an angle occurs at the end.
    """

    atom_offsets: NDArray[np.int64]
    numbers: NDArray[np.int16]
    weights: NDArray[np.float64]
    edge_offsets: NDArray[np.int64]
    neighbours: NDArray[np.int32]
    distances: NDArray[np.float64]
    counts: NDArray[np.float64]
    bonds: NDArray[np.int32]
    bond_offsets: NDArray[np.int64]
    bond_distances: NDArray[np.float64]
    bond_ends: NDArray[np.int32]
    end_offsets: NDArray[np.int64]
    end_atoms: NDArray[np.int32]
    end_bonds: NDArray[np.int32]
    angle_offsets: NDArray[np.int64]
    angle_bonds: NDArray[np.int32]
    angles: NDArray[np.float64]
    angle_counts: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of crystals."""
        return len(self.atom_offsets) - 1

    @property
    def edges(self) -> NDArray[np.int64]:
        """Messages and angles of each crystal, int64 [b]: each costs a network about as much."""
        messages = np.diff(self.edge_offsets[self.atom_offsets])
        angles = np.diff(self.angle_offsets[self.end_offsets])
        return messages + angles

    @property
    def widest(self) -> NDArray[np.int64]:
        """Most messages into an atom of each crystal, int64 [b]."""
        return widest_rows(self.edge_offsets, self.atom_offsets)

    def take(self, rows: NDArray[np.integer]) -> Self:
        """Return the graphs of some of the crystals, in the order given."""
        atoms, atom_offsets = ranges(self.atom_offsets, rows)
        messages, edge_offsets = ranges(self.edge_offsets, atoms)
        bonds, bond_offsets = ranges(self.bond_offsets, rows)
        ends, end_offsets = ranges(self.end_offsets, rows)
        angles, angle_offsets = ranges(self.angle_offsets, ends)
        atom_moved = atom_offsets[:-1] - self.atom_offsets[rows]
        bond_moved = bond_offsets[:-1] - self.bond_offsets[rows]
        end_moved = end_offsets[:-1] - self.end_offsets[rows]

        def moved(values: NDArray[np.int32], by: NDArray[np.int64], each: NDArray[np.int64]) -> NDArray[np.int32]:
            return (values + np.repeat(by, each)).astype(np.int32)

        of_ends = np.diff(end_offsets)
        of_messages = offsets_of(np.diff(edge_offsets))[atom_offsets]
        of_angles = offsets_of(np.diff(angle_offsets))[end_offsets]
        along = self.bonds[messages]
        return type(self)(
            atom_offsets,
            self.numbers[atoms],
            self.weights[atoms],
            edge_offsets,
            moved(self.neighbours[messages], atom_moved, np.diff(of_messages)),
            self.distances[messages],
            self.counts[messages],
            np.where(along < 0, along, moved(along, bond_moved, np.diff(of_messages))),
            bond_offsets,
            self.bond_distances[bonds],
            (self.bond_ends[bonds] + np.repeat(end_moved, np.diff(bond_offsets))[:, None]).astype(np.int32),
            end_offsets,
            moved(self.end_atoms[ends], atom_moved, of_ends),
            moved(self.end_bonds[ends], bond_moved, of_ends),
            angle_offsets,
            moved(self.angle_bonds[angles], bond_moved, np.diff(of_angles)),
            self.angles[angles],
            self.angle_counts[angles],
        )


def build_bond_graphs(
    crystals: CrystalColumns, cutoff: float, bond_cutoff: float, *, resolution: float = 0.0, rounds: int = 1
) -> BondGraphs:
    """Build the graphs of many crystals.

    Args:
        crystals: The crystals.
        cutoff: Of messages between atoms, in Å.
        bond_cutoff: Of bonds, in Å; not above the other.
        resolution: Distances within this many Å, and angles within this many radians, may be taken for equal when
            symmetry-distinct atoms, bonds and angles are looked for; 0 keeps every one.
        rounds: Convolutions of the network that the graphs are for.
    """
    return BondGraphs(
        *_build(*kernel_arrays(crystals), float(cutoff), float(bond_cutoff), float(resolution), int(rounds))
    )


@kernel
def _build(offsets, numbers, lattices, positions, cutoff, bond_cutoff, resolution, rounds):
    crystals = len(lattices)
    atom_offsets = np.zeros(crystals + 1, dtype=np.int64)
    out_numbers = np.empty(len(numbers), dtype=np.int16)
    weights = np.empty(len(numbers))
    edge_offsets = np.zeros(len(numbers) + 1, dtype=np.int64)
    neighbours = np.empty(64 * len(numbers) + 64, dtype=np.int32)
    distances = np.empty(len(neighbours))
    counts = np.empty(len(neighbours))
    bonds = np.empty(len(neighbours), dtype=np.int32)
    bond_offsets = np.zeros(crystals + 1, dtype=np.int64)
    bond_distances = np.empty(8 * len(numbers) + 8)
    bond_ends = np.empty(2 * len(bond_distances), dtype=np.int32)
    end_offsets = np.zeros(crystals + 1, dtype=np.int64)
    end_atoms = np.empty(len(bond_ends), dtype=np.int32)
    end_bonds = np.empty(len(bond_ends), dtype=np.int32)
    angle_offsets = np.zeros(len(bond_ends) + 1, dtype=np.int64)
    angle_bonds = np.empty(64 * len(numbers) + 64, dtype=np.int32)
    angles = np.empty(len(angle_bonds))
    angle_counts = np.empty(len(angle_bonds))
    atoms = edges = n_bonds = n_ends = n_angles = 0
    for c in range(crystals):
        a, b = offsets[c], offsets[c + 1]
        first, found, shifts, vectors, shares, lines = search(lattices[c], positions[a:b], cutoff, 0, resolution)
        # the bonds of atom i in both directions are arms[i]:arms[i + 1], the first among its neighbours
        arms = _arms(first, vectors, bond_cutoff)
        edge_of, owner_of = _edges_of(arms, first)
        back = _reversed(arms, found, shifts, edge_of, owner_of)
        row_of, thetas = _angles(arms, vectors, edge_of)
        if resolution > 0:
            atom_colour, bond_colour, end_colour = _refine(
                numbers[a:b], first, found, arms, edge_kinds(lines, shares), edge_of, owner_of, back, row_of, thetas,
                resolution, rounds,
            )  # fmt: skip
            atom_class, atom_of, _ = distinct(atom_colour)
            bond_class, bond_of, _ = distinct(bond_colour)
            end_class, _, kinds_of_ends = distinct(end_colour)
        else:
            atom_class = np.arange(b - a).astype(np.int32)
            atom_of = atom_class
            bond_class, bond_of = _pairs(back)
            end_class, kinds_of_ends = np.arange(len(back)).astype(np.int32), len(back)

        # the ends and their angles, bond by bond
        bond_distances = room(bond_distances, n_bonds, len(bond_of))
        bond_ends = room(bond_ends, 2 * n_bonds, 2 * len(bond_of))
        end_atoms = room(end_atoms, n_ends, kinds_of_ends)
        end_bonds = room(end_bonds, n_ends, kinds_of_ends)
        angle_offsets = room(angle_offsets, n_ends + 1, kinds_of_ends)
        place = np.full(kinds_of_ends, -1, dtype=np.int64)
        for u in range(len(bond_of)):
            bond_distances[n_bonds + u] = vectors[edge_of[bond_of[u]], 3]
            for side in range(2):
                arm = bond_of[u] if side == 0 else back[bond_of[u]]
                if place[end_class[arm]] < 0:
                    place[end_class[arm]] = n_ends
                    owner = owner_of[arm]
                    end_atoms[n_ends] = atoms + atom_class[owner]
                    end_bonds[n_ends] = n_bonds + u
                    low, high = arms[owner], arms[owner + 1]
                    angle_bonds = room(angle_bonds, n_angles, high - low)
                    angles = room(angles, n_angles, high - low)
                    angle_counts = room(angle_counts, n_angles, high - low)
                    begin = n_angles
                    for other in range(low, high):
                        if other == arm:
                            continue
                        theta = thetas[row_of[arm] + other - low]
                        bond = n_bonds + bond_class[other]
                        known = n_angles
                        if resolution > 0:
                            known = _equal_angle(angle_bonds, angles, begin, n_angles, bond, theta, resolution)
                        if known == n_angles:
                            angle_bonds[n_angles] = bond
                            angles[n_angles] = theta
                            angle_counts[n_angles] = 0.0
                            n_angles += 1
                        angle_counts[known] += 1.0
                    n_ends += 1
                    angle_offsets[n_ends] = n_angles
                bond_ends[2 * (n_bonds + u) + side] = place[end_class[arm]]
        end_offsets[c + 1] = n_ends

        size = np.zeros(len(atom_of), dtype=np.int64)
        for k in atom_class:
            size[k] += 1
        for k in range(len(atom_of)):
            atom = atom_of[k]
            out_numbers[atoms + k] = numbers[a + atom]
            weights[atoms + k] = size[k] / (b - a)
            low, high = first[atom], first[atom + 1]
            neighbours = room(neighbours, edges, high - low)
            distances = room(distances, edges, high - low)
            counts = room(counts, edges, high - low)
            bonds = room(bonds, edges, high - low)
            begin, bonded = edges, arms[atom + 1] - arms[atom]
            for e in range(low, high):
                bond = n_bonds + bond_class[arms[atom] + e - low] if e - low < bonded else -1
                neighbour = atoms + atom_class[found[e]]
                known = edges
                if resolution > 0:
                    known = _equal_message(
                        neighbours, bonds, distances, begin, edges, neighbour, bond, vectors[e, 3], resolution
                    )
                if known == edges:
                    neighbours[edges] = neighbour
                    bonds[edges] = bond
                    distances[edges] = vectors[e, 3]
                    counts[edges] = 0.0
                    edges += 1
                counts[known] += 1.0
            edge_offsets[atoms + k + 1] = edges
        atoms += len(atom_of)
        atom_offsets[c + 1] = atoms
        n_bonds += len(bond_of)
        bond_offsets[c + 1] = n_bonds
    return (
        atom_offsets,
        out_numbers[:atoms],
        weights[:atoms],
        edge_offsets[: atoms + 1],
        neighbours[:edges],
        distances[:edges],
        counts[:edges],
        bonds[:edges],
        bond_offsets,
        bond_distances[:n_bonds],
        bond_ends[: 2 * n_bonds].reshape(n_bonds, 2),
        end_offsets,
        end_atoms[:n_ends],
        end_bonds[:n_ends],
        angle_offsets[: n_ends + 1],
        angle_bonds[:n_angles],
        angles[:n_angles],
        angle_counts[:n_angles],
    )


@kernel
def _arms(first, vectors, bond_cutoff):
    """Return where the bonds of each atom begin among all: they are the first of its neighbours."""
    arms = np.zeros(len(first), dtype=np.int64)
    for i in range(len(first) - 1):
        count = 0
        while first[i] + count < first[i + 1] and vectors[first[i] + count, 3] < bond_cutoff:
            count += 1
        arms[i + 1] = arms[i] + count
    return arms


@kernel
def _edges_of(arms, first):
    """Return the edge and the atom of each arm."""
    edge_of = np.empty(arms[-1], dtype=np.int64)
    owner_of = np.empty(arms[-1], dtype=np.int64)
    for i in range(len(arms) - 1):
        for k in range(arms[i], arms[i + 1]):
            edge_of[k] = first[i] + k - arms[i]
            owner_of[k] = i
    return edge_of, owner_of


@kernel
def _reversed(arms, found, shifts, edge_of, owner_of):
    """Return the arm of the same bond at its other end."""
    back = np.empty(arms[-1], dtype=np.int64)
    for k in range(arms[-1]):
        e, i = edge_of[k], owner_of[k]
        j = found[e]
        for other in range(arms[j], arms[j + 1]):
            f = edge_of[other]
            if (
                found[f] == i
                and shifts[f, 0] == -shifts[e, 0]
                and shifts[f, 1] == -shifts[e, 1]
                and shifts[f, 2] == -shifts[e, 2]
            ):
                back[k] = other
                break
    return back


@kernel
def _pairs(back):
    """Number the bonds: return the bond of each arm, and an arm of each bond."""
    bond_class = np.empty(len(back), dtype=np.int32)
    bond_of = np.empty(len(back) // 2, dtype=np.int32)
    count = 0
    for k in range(len(back)):
        if back[k] > k:
            bond_class[k] = bond_class[back[k]] = count
            bond_of[count] = k
            count += 1
    return bond_class, bond_of


@kernel
def _angles(arms, vectors, edge_of):
    """Return the angles between all arms of an atom, and where those of each arm begin."""
    row_of = np.empty(arms[-1], dtype=np.int64)
    total = 0
    for i in range(len(arms) - 1):
        width = arms[i + 1] - arms[i]
        for k in range(width):
            row_of[arms[i] + k] = total + k * width
        total += width * width
    thetas = np.zeros(total)
    for i in range(len(arms) - 1):
        low, high = arms[i], arms[i + 1]
        for k in range(low, high):
            e = edge_of[k]
            for other in range(k + 1, high):
                f = edge_of[other]
                dot = vectors[e, 0] * vectors[f, 0] + vectors[e, 1] * vectors[f, 1] + vectors[e, 2] * vectors[f, 2]
                cosine = min(1.0, max(-1.0, dot / (vectors[e, 3] * vectors[f, 3])))
                theta = np.arccos(cosine * SHRINK)
                thetas[row_of[k] + other - low] = theta
                thetas[row_of[other] + k - low] = theta
    return row_of, thetas


@kernel
def _refine(numbers, first, found, arms, kinds, edge_of, owner_of, back, row_of, thetas, resolution, rounds):
    """Colour atoms, bonds and ends.

    Atoms are refined by distances first. A round then does what a convolution of CHGNet does: ends take in the other
    bonds of their atom and the angles to them, bonds their two ends, atoms their neighbours and the bonds to them.

    Returns:
        The colour of each atom, and of the bond and the end that each arm belongs to.
    """
    atoms = atom_colours(numbers, first, found, kinds, rounds)
    n = len(back)
    ends = np.empty(n, dtype=np.uint64)
    bonds = np.empty(n, dtype=np.uint64)
    for k in range(n):
        ends[k] = mix(kinds[edge_of[k]] ^ mix(atoms[owner_of[k]] ^ mix(atoms[found[edge_of[k]]])))
    for k in range(n):
        bonds[k] = mix(ends[k] + ends[back[k]])
    _, _, count = distinct(ends)
    _, _, atom_count = distinct(atoms)
    scale = 1.0 / resolution
    for _ in range(rounds - 1):
        if count == n and atom_count == len(numbers):
            break
        refined = np.empty(n, dtype=np.uint64)
        for k in range(n):
            low, high = arms[owner_of[k]], arms[owner_of[k] + 1]
            total = np.uint64(0)
            for other in range(low, high):
                if other != k:
                    step = np.uint64(np.int64(np.floor(thetas[row_of[k] + other - low] * scale + _OFF_GRID)))
                    total += mix(bonds[other] ^ mix(step))
            refined[k] = mix(ends[k] ^ mix(total))
        for k in range(n):
            bonds[k] = mix(refined[k] + refined[back[k]])
        atoms = _gather(atoms, first, found, arms, kinds, bonds)
        for k in range(n):
            ends[k] = mix(bonds[k] ^ mix(refined[k] ^ mix(atoms[owner_of[k]] ^ mix(atoms[found[edge_of[k]]]))))
        for k in range(n):
            bonds[k] = mix(ends[k] + ends[back[k]])
        _, _, splits = distinct(ends)
        _, _, atom_splits = distinct(atoms)
        if splits == count and atom_splits == atom_count:  # a partition that a round does not split is final
            break
        count, atom_count = splits, atom_splits
    return atoms, bonds, ends


@kernel
def _gather(atoms, first, found, arms, kinds, bonds):
    """Colour atoms by their own colour, those of their neighbours, and the bonds or distances to them."""
    refined = np.empty(len(atoms), dtype=np.uint64)
    for i in range(len(atoms)):
        bonded = arms[i + 1] - arms[i]
        total = np.uint64(0)
        for e in range(first[i], first[i + 1]):
            k = e - first[i]
            along = bonds[arms[i] + k] if k < bonded else kinds[e]
            total += mix(along ^ mix(atoms[found[e]]))
        refined[i] = mix(atoms[i] ^ mix(total))
    return refined


@kernel
def _equal_angle(bonds, angles, start, end, bond, angle, resolution):
    """Return the angle from start on that is as wide and leads to the bond, or ``end``."""
    for k in range(start, end):
        if bonds[k] == bond and abs(angles[k] - angle) <= resolution:
            return k
    return end


@kernel
def _equal_message(neighbours, bonds, distances, start, end, neighbour, bond, distance, resolution):
    """Return the message from start on that comes from the neighbour along the bond, or ``end``."""
    for e in range(end - 1, start - 1, -1):
        if distance - distances[e] > resolution:  # sorted by distance: no earlier one is closer
            break
        if neighbours[e] == neighbour and bonds[e] == bond:
            return e
    return end
