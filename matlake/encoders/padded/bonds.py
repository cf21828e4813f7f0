"""The inputs of encoders of graphs with atoms, bonds and the angles between bonds, such as CHGNet."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.base import Arrays
from matlake.encoders.padded.tables import distinct_lengths, message_pairs, pool_matrix, spread, with_nobody
from matlake.materials.bond_graphs import BondGraphs

AXES: Final[dict[str, tuple[str, ...]]] = {
    "numbers": ("atoms",),
    "lengths": ("distances",),
    "pair_targets": ("pairs",),
    "pair_sources": ("pairs",),
    "pairs": ("messages",),
    "length_index": ("messages",),
    "along": ("messages",),
    "incoming": ("atoms", "places"),
    "counts": ("atoms", "places"),
    "bond_lengths": ("bonds",),
    "bond_ends": ("bonds", "2"),
    "end_atoms": ("ends",),
    "end_bonds": ("ends",),
    "angles": ("angles",),
    "angle_ends": ("angles",),
    "angle_bonds": ("angles",),
    "around": ("ends", "others"),
    "angle_counts": ("ends", "others"),
    "pool": ("crystals", "atoms"),
}
"""Of b crystals with a atoms, m messages between n pairs of atoms, v bonds, e ends of bonds and g angles: ``numbers``
int64 [a], ``lengths`` float32 [u] in Å; ``pair_targets``, ``pair_sources`` int64 [n], the atoms that messages go to and
come from, and ``pairs`` int64 [m], the pair of each message; ``length_index`` int64 [m]; ``along`` int64 [m], the bond
of a message, or beyond the bond cutoff v + the place of its length; ``incoming`` int64 and ``counts`` float32 [a, k];
``bond_lengths`` int64 [v] and ``bond_ends`` int64 [v, 2]; ``end_atoms``, ``end_bonds`` int64 [e]; ``angles`` float32
[g] in radians, ``angle_ends`` and the other bonds ``angle_bonds`` int64 [g]; ``around`` int64 and ``angle_counts``
float32 [e, q], the angles at each end; ``pool`` float32 [b, a]. The last message, pair, bond, end and angle belong to
nobody."""


def bond_inputs(graphs: BondGraphs) -> Arrays:
    """Return the inputs of an encoder for some graphs; axes as in ``AXES``."""
    messages, bonds = len(graphs.distances), len(graphs.bond_distances)
    ends, angles = len(graphs.end_atoms), len(graphs.angles)
    lengths, index = distinct_lengths(np.concatenate([graphs.distances, graphs.bond_distances]))
    length_index = index[:messages]
    along = np.where(graphs.bonds < 0, bonds + 1 + length_index, graphs.bonds)
    of_ends = np.diff(graphs.angle_offsets)
    incoming, counts = _table(graphs.edge_offsets, graphs.counts, np.arange(messages))
    around, angle_counts = _table(np.append(graphs.angle_offsets, angles), graphs.angle_counts, np.arange(angles))
    targets, sources, pairs = message_pairs(graphs.edge_offsets, graphs.neighbours)
    return {
        "numbers": graphs.numbers.astype(np.int64),
        "lengths": lengths,
        "pair_targets": with_nobody(targets, 0),
        "pair_sources": with_nobody(sources, 0),
        "pairs": with_nobody(pairs, len(targets)),
        "length_index": with_nobody(length_index, len(lengths) - 1),
        "along": with_nobody(along, bonds),
        "incoming": incoming,
        "counts": counts,
        "bond_lengths": with_nobody(index[messages:], len(lengths) - 1),
        "bond_ends": np.concatenate([graphs.bond_ends, [[ends, ends]]]).astype(np.int64),
        "end_atoms": with_nobody(graphs.end_atoms, 0),
        "end_bonds": with_nobody(graphs.end_bonds, bonds),
        "angles": np.append(graphs.angles, 1.0).astype(np.float32),
        "angle_ends": with_nobody(np.repeat(np.arange(ends), of_ends), ends),
        "angle_bonds": with_nobody(graphs.angle_bonds, bonds),
        "around": around,
        "angle_counts": angle_counts,
        "pool": pool_matrix(graphs.atom_offsets, graphs.weights),
    }


def _table(
    offsets: NDArray[np.int64], counts: NDArray[np.float64], members: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return a padded table of the members of each row, where padding points behind the last one, and their counts."""
    rows = len(offsets) - 1
    most = max(1, int(np.diff(offsets).max(initial=0)))
    table = np.full((rows, most), len(members), dtype=np.int64)
    padded = np.zeros((rows, most), dtype=np.float32)
    spread(offsets, members, table)
    spread(offsets, counts, padded)
    return table, padded
