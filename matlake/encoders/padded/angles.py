"""The inputs of encoders of graphs with messages and the angles between them, such as DimeNet++."""

from typing import Final

import numpy as np

from matlake.encoders.base import Arrays
from matlake.encoders.padded.tables import distinct_lengths, pool_matrix, spread, spread_blocks, with_nobody
from matlake.materials.angular_graphs import AngularGraphs

AXES: Final[dict[str, tuple[str, ...]]] = {
    "numbers": ("atoms",),
    "lengths": ("distances",),
    "sources": ("messages",),
    "targets": ("messages",),
    "length_index": ("messages",),
    "incoming": ("atoms", "places"),
    "counts": ("atoms", "places"),
    "coupled": ("atoms", "degrees*places"),
    "couplings": ("atoms", "outgoing", "degrees*places"),
    "rows": ("messages",),
    "pool": ("crystals", "atoms"),
}
"""Of b crystals with a atoms and m messages: ``numbers`` int64 [a], ``lengths`` float32 [u] in Å; ``sources``,
``targets``, ``length_index`` int64 [m]; ``incoming`` int64 and ``counts`` float32 [a, k]; ``coupled`` int64 [a, k · L],
the L parts of each incoming message, and their ``couplings`` float32 [a, p, k · L]; ``rows`` int64 [m], where message i
stands among the a · p rows of the couplings; ``pool`` float32 [b, a]."""


def angular_inputs(graphs: AngularGraphs) -> Arrays:
    """Return the inputs of an encoder for some graphs; axes as in ``AXES``."""
    atoms, messages = len(graphs.numbers), len(graphs.targets)
    n_out, n_in = np.diff(graphs.out_offsets), np.diff(graphs.in_offsets)
    most_out, most_in = max(1, int(n_out.max(initial=0))), max(1, int(n_in.max(initial=0)))
    lengths, index = distinct_lengths(graphs.distances)
    incoming = np.full((atoms, most_in), messages, dtype=np.int64)
    counts = np.zeros((atoms, most_in), dtype=np.float32)
    spread(graphs.in_offsets, graphs.incoming, incoming)
    spread(graphs.in_offsets, graphs.counts, counts)
    coupled = (incoming[:, :, None] * graphs.degrees + np.arange(graphs.degrees)).reshape(atoms, -1)
    couplings = np.zeros((atoms, most_out, most_in * graphs.degrees), dtype=np.float32)
    spread_blocks(graphs.coupling_offsets, graphs.couplings, n_out, couplings)
    sources = np.repeat(np.arange(atoms), n_out)
    rows = sources * most_out + np.arange(messages) - graphs.out_offsets[sources]
    return {
        "numbers": graphs.numbers.astype(np.int64),
        "lengths": lengths,
        "sources": with_nobody(sources, 0),
        "targets": with_nobody(graphs.targets, 0),
        "length_index": with_nobody(index, len(lengths) - 1),
        "incoming": incoming,
        "counts": counts,
        "coupled": coupled,
        "couplings": couplings,
        "rows": with_nobody(rows, 0),
        "pool": pool_matrix(graphs.atom_offsets, graphs.weights),
    }
