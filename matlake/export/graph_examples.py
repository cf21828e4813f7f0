"""Crystals as training examples of the graph networks."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matlake.materials.angular_graphs import AngularGraphs
from matlake.materials.pair_graphs import PairGraphs

_EDGES = 20_000


@dataclass(frozen=True)
class GraphExamples:
    """Graphs of some crystals, built once, with their targets.

    Attributes:
        graphs: The graphs of all crystals of a table.
        rows: int64 [n], those that belong to this part.
        targets: float64 [n, t], in the targets' own units; NaN where a value is missing.
        collate: Turns graphs into a batch of the network.
    """

    graphs: PairGraphs | AngularGraphs
    rows: NDArray[np.int64]
    targets: NDArray[np.float64]
    collate: Callable[[Any], Any]

    def __len__(self) -> int:
        """Return the number of crystals."""
        return len(self.rows)

    def inputs(self, rows: NDArray[np.int64], device: str) -> Any:
        """Return the batch of some crystals."""
        batch = self.collate(self.graphs.take(self.rows[rows]))
        return batch if device == "cpu" else batch.to(device)

    def chunks(self) -> Iterator[NDArray[np.int64]]:
        """Yield all crystals, small ones first, so that a batch has a bounded number of edges."""
        edges = self.graphs.edges[self.rows]
        order = np.argsort(edges, kind="stable")
        ends = np.cumsum(edges[order]) // _EDGES
        yield from np.split(order, np.flatnonzero(np.diff(ends)) + 1)
