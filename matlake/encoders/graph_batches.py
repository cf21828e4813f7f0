"""Which crystals run together: filled by edges, sorted by shape."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.graph_inputs import Inputs, graph_inputs
from matlake.materials.angular_graphs import AngularGraphs
from matlake.materials.pair_graphs import PairGraphs

EDGES_A_RUN: Final = {"cpu": 2_000, "cuda": 200_000}
"""On a CPU, activations stay in the cache; on a GPU, a run keeps it busy and fits in a few gigabytes."""


def collate(graphs: PairGraphs | AngularGraphs, edges_a_run: int) -> list[tuple[NDArray[np.int64], Inputs]]:
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
