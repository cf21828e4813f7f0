"""The inputs of encoders of graphs with the angles between the bonds of an atom, such as M3GNet."""

from typing import Final

import numpy as np

from matlake.encoders.base import Arrays
from matlake.encoders.padded.tables import distinct_lengths, pool_matrix, spread, spread_triples, with_nobody
from matlake.materials.triplet_graphs import TripletGraphs

AXES: Final[dict[str, tuple[str, ...]]] = {
    "numbers": ("atoms",),
    "lengths": ("distances",),
    "owners": ("edges",),
    "neighbours": ("edges",),
    "length_index": ("edges",),
    "edge_table": ("atoms", "places"),
    "counts": ("atoms", "places"),
    "coupled": ("degrees*atoms", "bonds"),
    "couplings": ("degrees*atoms", "bonds", "bonds"),
    "rows": ("degrees*edges",),
    "pool": ("crystals", "atoms"),
}
"""Of b crystals with a atoms and m edges, of which an atom has at most k, and at most s bonds: ``numbers`` int64 [a],
``lengths`` float32 [u] in Å; ``owners``, ``neighbours``, ``length_index`` int64 [m]; ``edge_table`` int64 and
``counts`` float32 [a, k]; ``coupled`` int64 [a · L, s], the part of degree l of each bond of an atom, and their
``couplings`` float32 [a · L, s, s]; ``rows`` int64 [m · L], where the parts of an edge stand among the a · L · s rows
of the couplings, anywhere for an edge that is not a bond; ``pool`` float32 [b, a]."""


def triplet_inputs(graphs: TripletGraphs) -> Arrays:
    """Return the inputs of an encoder for some graphs; axes as in ``AXES``."""
    atoms, edges, degrees = len(graphs.numbers), len(graphs.distances), graphs.degrees
    per_atom = np.diff(graphs.edge_offsets)
    places, bonds = max(1, int(per_atom.max(initial=0))), max(1, int(graphs.bonds.max(initial=0)))
    lengths, index = distinct_lengths(graphs.distances)
    edge_table = np.full((atoms, places), edges, dtype=np.int64)
    counts = np.zeros((atoms, places), dtype=np.float32)
    spread(graphs.edge_offsets, np.arange(edges), edge_table)
    spread(graphs.edge_offsets, graphs.counts, counts)
    couplings = np.zeros((atoms, degrees, bonds, bonds), dtype=np.float32)
    spread_triples(graphs.coupling_offsets, graphs.couplings, graphs.bonds, couplings)
    degree = np.arange(degrees)
    bond_table = np.full((atoms, bonds), edges, dtype=np.int64)
    width = min(places, bonds)
    bond_table[:, :width] = np.where(np.arange(width) < graphs.bonds[:, None], edge_table[:, :width], edges)
    coupled = bond_table[:, None, :] * degrees + degree[:, None]
    owners = np.repeat(np.arange(atoms), per_atom)
    place = np.arange(edges) - graphs.edge_offsets[owners]
    rows = np.zeros((edges + 1, degrees), dtype=np.int64)
    rows[:-1] = np.where(
        (place < graphs.bonds[owners])[:, None], (owners[:, None] * degrees + degree) * bonds + place[:, None], 0
    )
    return {
        "numbers": graphs.numbers.astype(np.int64),
        "lengths": lengths,
        "owners": with_nobody(owners, 0),
        "neighbours": with_nobody(graphs.neighbours, 0),
        "length_index": with_nobody(index, len(lengths) - 1),
        "edge_table": edge_table,
        "counts": counts,
        "coupled": coupled.reshape(-1, bonds),
        "couplings": couplings.reshape(-1, bonds, bonds),
        "rows": rows.reshape(-1),
        "pool": pool_matrix(graphs.atom_offsets, graphs.weights),
    }
