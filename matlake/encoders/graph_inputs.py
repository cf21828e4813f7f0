"""Which crystals run together, and the arrays that a graph encoder's ONNX file takes of their graphs.

Sums over neighbours are gathers from padded tables, since no scatter operator of ONNX Runtime is both fast and right
(docs/encoders.md). What depends on a distance only is computed once for each distinct distance. The last edge, or
message, of a batch belongs to nobody: padding points at it, and a batch of atoms without neighbours has it alone.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.base import Arrays, Batch
from matlake.materials.angular_graphs import AngularGraphs
from matlake.materials.kernels import kernel
from matlake.materials.pair_graphs import PairGraphs

EDGES_A_RUN: Final = {"cpu": 2_000, "cuda": 200_000}
"""On a CPU, activations stay in the cache; on a GPU, a run keeps it busy and fits in a few gigabytes."""

_NOWHERE_A: Final = 1.0  # length of what belongs to nobody: every basis function is finite there


def collate(graphs: PairGraphs | AngularGraphs, edges_a_run: int) -> list[Batch]:
    """Return all runs of the encoder with their inputs, for a device that is faster than their making."""
    return [(rows, graph_inputs(graphs.take(rows))) for rows in runs(graphs, edges_a_run)]


def runs(graphs: PairGraphs | AngularGraphs, edges_a_run: int) -> Iterator[NDArray[np.int64]]:
    """Yield the crystals of each run of the encoder.

    Crystals are sorted by the widest row of their tables, then by edges: padding is then a fifth of the tables, and a
    run holds a bounded number of edges, or a single crystal.

    Args:
        graphs: The graphs.
        edges_a_run: Edges that fill a run.
    """
    edges = graphs.edges
    entries = np.diff(graphs.edge_offsets if isinstance(graphs, PairGraphs) else graphs.in_offsets)
    widest = np.maximum.reduceat(entries, graphs.atom_offsets[:-1]) if len(graphs) else edges
    order = np.lexsort((edges, widest))
    filled = np.cumsum(edges[order]) // edges_a_run
    for rows in np.split(order, np.flatnonzero(np.diff(filled)) + 1):
        if len(rows):
            yield rows


def graph_inputs(graphs: PairGraphs | AngularGraphs) -> Arrays:
    """Return the inputs of an encoder for some graphs.

    Returns:
        Of b crystals with a atoms, for pairs: ``numbers`` int64 [a], ``lengths`` float32 [u] in Å, and for each atom's
        k places ``neighbours``, ``length_index`` (both int64) and ``counts`` (float32), [a, k]. For angles with m
        messages: ``numbers``, ``lengths``; ``sources``, ``targets``, ``length_index`` int64 [m]; ``incoming`` int64
        and ``counts`` float32 [a, k]; ``coupled`` int64 [a, k · L], the L parts of each incoming message, and their
        ``couplings`` float32 [a, p, k · L]; ``rows`` int64 [m], where message i stands among the a · p rows of the
        couplings. For both ``pool`` float32 [b, a].
    """
    if isinstance(graphs, PairGraphs):
        return _pair_inputs(graphs)
    return _angular_inputs(graphs)


def _pair_inputs(graphs: PairGraphs) -> Arrays:
    atoms = len(graphs.numbers)
    degrees = np.diff(graphs.edge_offsets)
    widest = max(1, int(degrees.max(initial=0)))
    lengths, index = _distinct(graphs.distances)
    neighbours = np.zeros((atoms, widest), dtype=np.int64)
    length_index = np.full((atoms, widest), len(lengths) - 1, dtype=np.int64)
    counts = np.zeros((atoms, widest), dtype=np.float32)
    _spread(graphs.edge_offsets, graphs.neighbours, neighbours)
    _spread(graphs.edge_offsets, index, length_index)
    _spread(graphs.edge_offsets, graphs.counts, counts)
    return {
        "numbers": graphs.numbers.astype(np.int64),
        "lengths": lengths,
        "neighbours": neighbours,
        "length_index": length_index,
        "counts": counts,
        "pool": _pool(graphs.atom_offsets, graphs.weights),
    }


def _angular_inputs(graphs: AngularGraphs) -> Arrays:
    atoms, messages = len(graphs.numbers), len(graphs.targets)
    n_out, n_in = np.diff(graphs.out_offsets), np.diff(graphs.in_offsets)
    most_out, most_in = max(1, int(n_out.max(initial=0))), max(1, int(n_in.max(initial=0)))
    lengths, index = _distinct(graphs.distances)
    incoming = np.full((atoms, most_in), messages, dtype=np.int64)
    counts = np.zeros((atoms, most_in), dtype=np.float32)
    _spread(graphs.in_offsets, graphs.incoming, incoming)
    _spread(graphs.in_offsets, graphs.counts, counts)
    coupled = (incoming[:, :, None] * graphs.degrees + np.arange(graphs.degrees)).reshape(atoms, -1)
    couplings = np.zeros((atoms, most_out, most_in * graphs.degrees), dtype=np.float32)
    _spread_blocks(graphs.coupling_offsets, graphs.couplings, n_out, couplings)
    sources = np.repeat(np.arange(atoms), n_out)
    rows = sources * most_out + np.arange(messages) - graphs.out_offsets[sources]
    return {
        "numbers": graphs.numbers.astype(np.int64),
        "lengths": lengths,
        "sources": _with_nobody(sources, 0),
        "targets": _with_nobody(graphs.targets, 0),
        "length_index": _with_nobody(index, len(lengths) - 1),
        "incoming": incoming,
        "counts": counts,
        "coupled": coupled,
        "couplings": couplings,
        "rows": _with_nobody(rows, 0),
        "pool": _pool(graphs.atom_offsets, graphs.weights),
    }


def _distinct(distances: NDArray[np.float64]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return the distinct distances, nobody's last, and the place of each distance among them."""
    lengths, index = np.unique(distances.astype(np.float32), return_inverse=True)
    return np.append(lengths, np.float32(_NOWHERE_A)), index.astype(np.int64)


def _with_nobody(values: NDArray[np.integer], nobody: int) -> NDArray[np.int64]:
    return np.append(values, nobody).astype(np.int64)


def _pool(offsets: NDArray[np.int64], weights: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the matrix that takes the mean over each crystal: dense, since it costs less than any gather."""
    pool = np.zeros((len(offsets) - 1, len(weights)), dtype=np.float32)
    pool[np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)), np.arange(len(weights))] = weights
    return pool


@kernel
def _spread(offsets, values, table):
    """Write the rows of a ragged array into a padded table."""
    for row in range(len(offsets) - 1):
        for k in range(offsets[row], offsets[row + 1]):
            table[row, k - offsets[row]] = values[k]


@kernel
def _spread_blocks(offsets, values, heights, table):
    """Write blocks [height, width] into the corners of a padded table."""
    for row in range(len(heights)):
        width = (offsets[row + 1] - offsets[row]) // max(1, heights[row])
        start = offsets[row]
        for p in range(heights[row]):
            for q in range(width):
                table[row, p, q] = values[start + p * width + q]
