"""The inputs of encoders of graphs with distances alone, such as CGCNN and SchNet."""

from typing import Final

import numpy as np

from matlake.encoders.base import Arrays
from matlake.encoders.padded.tables import distinct_lengths, pool_matrix, spread
from matlake.materials.pair_graphs import PairGraphs

AXES: Final[dict[str, tuple[str, ...]]] = {
    "numbers": ("atoms",),
    "lengths": ("distances",),
    "neighbours": ("atoms", "places"),
    "length_index": ("atoms", "places"),
    "counts": ("atoms", "places"),
    "pool": ("crystals", "atoms"),
}
"""Of b crystals with a atoms: ``numbers`` int64 [a], ``lengths`` float32 [u] in Å, and for each atom's k places
``neighbours``, ``length_index`` (both int64) and ``counts`` (float32), [a, k]; ``pool`` float32 [b, a]."""


def pair_inputs(graphs: PairGraphs) -> Arrays:
    """Return the inputs of an encoder for some graphs; axes as in ``AXES``."""
    atoms = len(graphs.numbers)
    degrees = np.diff(graphs.edge_offsets)
    widest = max(1, int(degrees.max(initial=0)))
    lengths, index = distinct_lengths(graphs.distances)
    neighbours = np.zeros((atoms, widest), dtype=np.int64)
    length_index = np.full((atoms, widest), len(lengths) - 1, dtype=np.int64)
    counts = np.zeros((atoms, widest), dtype=np.float32)
    spread(graphs.edge_offsets, graphs.neighbours, neighbours)
    spread(graphs.edge_offsets, index, length_index)
    spread(graphs.edge_offsets, graphs.counts, counts)
    return {
        "numbers": graphs.numbers.astype(np.int64),
        "lengths": lengths,
        "neighbours": neighbours,
        "length_index": length_index,
        "counts": counts,
        "pool": pool_matrix(graphs.atom_offsets, graphs.weights),
    }
