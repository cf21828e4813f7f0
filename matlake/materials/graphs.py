"""What the graphs of every kind have in common: many crystals in flat arrays, of which some can be taken."""

from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray


class Graphs(Protocol):
    """The graphs of b crystals. Every kind of ``graph_recipe.GraphRecipe`` has a class of its own."""

    def __len__(self) -> int:
        """Return the number of crystals."""

    @property
    def edges(self) -> NDArray[np.int64]:
        """Edges of each crystal, int64 [b]: what a run of an encoder costs."""

    @property
    def widest(self) -> NDArray[np.int64]:
        """Most entries that an atom of each crystal has in the encoder's padded tables, int64 [b]."""

    def take(self, rows: NDArray[np.integer]) -> Self:
        """Return the graphs of some of the crystals, in the order given."""
