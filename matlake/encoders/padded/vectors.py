"""The inputs of encoders of graphs with directions, such as TensorNet."""

from typing import Final

import numpy as np

from matlake.encoders.base import Arrays
from matlake.encoders.padded.tables import distinct_lengths, pool_matrix, spread
from matlake.materials.kernels import kernel
from matlake.materials.vector_graphs import VectorGraphs

AXES: Final[dict[str, tuple[str, ...]]] = {
    "numbers": ("atoms",),
    "lengths": ("distances",),
    "neighbours": ("atoms", "places"),
    "length_index": ("atoms", "places"),
    "moments": ("atoms", "9", "places"),
    "turns": ("atoms", "34", "places"),
    "pool": ("crystals", "atoms"),
}
"""Of b crystals with a atoms: ``numbers`` int64 [a], ``lengths`` float32 [u] in Å, and for each atom's k places
``neighbours`` and ``length_index`` int64 [a, k]; ``moments`` float32 [a, 9, k], and the rotations of the neighbours'
features, ``turns`` float32 [a, 34, k], column by column, both as in ``VectorGraphs`` and zero where there is no
neighbour; ``pool`` float32 [b, a]."""


def vector_inputs(graphs: VectorGraphs) -> Arrays:
    """Return the inputs of an encoder for some graphs; axes as in ``AXES``."""
    atoms = len(graphs.numbers)
    widest = max(1, int(graphs.widest.max(initial=0)))
    lengths, index = distinct_lengths(graphs.distances)
    neighbours = np.zeros((atoms, widest), dtype=np.int64)
    length_index = np.full((atoms, widest), len(lengths) - 1, dtype=np.int64)
    moments = np.zeros((atoms, 9, widest), dtype=np.float32)
    turns = np.zeros((atoms, 34, widest), dtype=np.float32)
    spread(graphs.edge_offsets, graphs.neighbours, neighbours)
    spread(graphs.edge_offsets, index, length_index)
    _spread_below(graphs.edge_offsets, graphs.moments, moments)
    _spread_below(graphs.edge_offsets, graphs.turns, turns)
    return {
        "numbers": graphs.numbers.astype(np.int64),
        "lengths": lengths,
        "neighbours": neighbours,
        "length_index": length_index,
        "moments": moments,
        "turns": turns,
        "pool": pool_matrix(graphs.atom_offsets, graphs.weights),
    }


@kernel
def _spread_below(offsets, values, table):
    """Write the numbers of each edge below each other, into its place in the table of its atom."""
    for atom in range(len(offsets) - 1):
        for edge in range(offsets[atom], offsets[atom + 1]):
            for row in range(table.shape[1]):
                table[atom, row, edge - offsets[atom]] = values[edge, row]
