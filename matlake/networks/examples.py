"""Rows that a network is trained on or measured with: inputs in batches, and targets.

Targets are in their own units, NaN where a value is missing. ``inputs`` returns what the network's ``predict`` takes
for some rows; ``chunks`` yields all rows in an order and in batches that suit inference.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from matlake.encoders.graph_inputs import runs
from matlake.materials.graphs import Graphs

TRAINING_RESOLUTION_A: Final = 1e-4
"""Coarser than what encoders run with: in training, an error of 0.0001 Å is noise, and symmetry saves more."""

_INFERENCE_ROWS: Final = 4096
_INFERENCE_EDGES: Final = 20_000


@dataclass(frozen=True)
class FractionExamples:
    """Compositions with their targets.

    Attributes:
        fractions: float32 [n, 86].
        targets: float64 [n, t].
    """

    fractions: NDArray[np.float32]
    targets: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.targets)

    def inputs(self, rows: NDArray[np.int64], device: str) -> torch.Tensor:
        """Return the fractions of some rows."""
        return torch.from_numpy(self.fractions[rows]).to(device)

    def chunks(self) -> Iterator[NDArray[np.int64]]:
        """Yield all rows, a few thousand at a time."""
        for start in range(0, len(self), _INFERENCE_ROWS):
            yield np.arange(start, min(len(self), start + _INFERENCE_ROWS))


@dataclass(frozen=True)
class GraphExamples:
    """Graphs, built once, with their targets.

    Attributes:
        graphs: The graphs of n crystals.
        targets: float64 [n, t].
        collate: Turns graphs into a batch of the network.
    """

    graphs: Graphs
    targets: NDArray[np.float64]
    collate: Callable[[Any], Any]

    def __len__(self) -> int:
        """Return the number of crystals."""
        return len(self.targets)

    def inputs(self, rows: NDArray[np.int64], device: str) -> Any:
        """Return the batch of some crystals."""
        batch = self.collate(self.graphs.take(rows))
        return batch if device == "cpu" else batch.to(device)

    def chunks(self) -> Iterator[NDArray[np.int64]]:
        """Yield all crystals, so that a batch has a bounded number of edges."""
        return runs(self.graphs, _INFERENCE_EDGES)


Examples = FractionExamples | GraphExamples
