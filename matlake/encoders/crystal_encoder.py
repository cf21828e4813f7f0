"""An encoder of crystals: their graphs are made as its card states."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.encoders.base import Arrays, Batch, Encoder, GraphsToEncode
from matlake.encoders.card import EncoderCard
from matlake.encoders.rejections import Materials
from matlake.errors import EncoderError
from matlake.materials.crystal import Crystal, CrystalColumns
from matlake.materials.formula import Composition
from matlake.materials.graph_recipe import GraphRecipe
from matlake.materials.periodic_table import SYMBOLS

_ATOMS_A3: Final = 0.1  # of a dense crystal
_PAIR_BYTES: Final = 20
_EDGE_BYTES: Final = {"vectors": 8 * (9 + 34) + _PAIR_BYTES}  # moments and rotations


@dataclass(frozen=True)
class CrystalEncoder(Encoder):
    """An opened encoder of crystals. Its inputs are graphs.

    Attributes:
        recipe: How crystals become graphs.
    """

    recipe: GraphRecipe

    @classmethod
    def open(cls, card: EncoderCard, session: Any, device: str) -> Self:
        """Read the graph parameters of the card.

        Raises:
            EncoderError: The card does not say which elements the encoder takes, or no graph parameters.
            PluginError: The package that makes its kind of graphs is not installed, or cannot be used.
        """
        elements, graph = card.input_parameters.elements, card.input_parameters.graph
        if not elements or not set(elements) <= set(SYMBOLS):
            raise EncoderError(f"the card of encoder {card.name} does not say which elements it takes")
        if graph is None:
            raise EncoderError(f"the card of encoder {card.name} states no graph parameters", "export it again")
        _ = graph.plugin  # here rather than in the threads that build graphs
        return cls(card, session, device, graph)

    @property
    def inputs_key(self) -> Hashable:
        """Equal for encoders that take the same inputs: those with equal graph parameters do."""
        return self.recipe

    @property
    def bytes_a_site(self) -> float:
        """Size of an atom's part of a graph, if no other atom is its equal."""
        within = 4 / 3 * np.pi * self.recipe.cutoff_A**3 * _ATOMS_A3
        neighbours = min(self.recipe.max_neighbours or within, within)
        return float(
            _EDGE_BYTES.get(self.recipe.kind, _PAIR_BYTES) * neighbours + 4 * self.recipe.degrees * neighbours**2
        )

    def columns(self, materials: Sequence[Composition | Crystal]) -> CrystalColumns:
        """Put crystals into columns.

        Raises:
            EncoderError: A material is a composition.
        """
        crystals = [one for one in materials if isinstance(one, Crystal)]
        if len(crystals) < len(materials):
            raise self._no_crystals()
        return CrystalColumns.of(crystals)

    def read_columns(self, table: pa.Table) -> CrystalColumns:
        """Read geometry as a dataset holds it."""
        return CrystalColumns.from_arrow(table)

    def inputs(self, materials: Materials, *, ahead: bool = False, resolution: float | None = None) -> GraphsToEncode:
        """Return the graphs of crystals that are not rejected.

        Args:
            materials: n crystals.
            ahead: Make batches as well, except on a CPU: there they are made just before they run, while they are in
                the cache.
            resolution: Another one than the recipe's, in Å; 0 keeps every atom and every edge.
        """
        if not isinstance(materials, CrystalColumns):
            raise self._no_crystals()
        graphs = self.recipe.build(materials, resolution=resolution)
        if not ahead or self.device == "cpu":
            return GraphsToEncode(graphs)
        from matlake.encoders.graph_inputs import EDGES_A_RUN, collate

        return GraphsToEncode(graphs, collate(graphs, EDGES_A_RUN[self.device], self.recipe))

    def take(self, inputs: GraphsToEncode, rows: NDArray[np.int64]) -> GraphsToEncode:
        """Return the graphs of some crystals."""
        return GraphsToEncode(inputs.graphs.take(rows))

    def batches(self, inputs: Any) -> Iterator[Batch]:
        """Yield crystals of like shape, with a bounded number of edges."""
        if not isinstance(inputs, GraphsToEncode):
            raise self._no_crystals()
        from matlake.encoders.graph_inputs import EDGES_A_RUN, runs

        if inputs.batches is not None:
            yield from inputs.batches
        else:
            yield from ((rows, None) for rows in runs(inputs.graphs, EDGES_A_RUN[self.device]))

    def describe(self, inputs: GraphsToEncode, row: int) -> str:
        """Say how many edges a crystal has."""
        return f"a crystal with {inputs.graphs.edges[row]:,} distinct edges"

    def feed(self, inputs: GraphsToEncode) -> Arrays:
        """Return padded tables of the graphs; see ``graph_inputs``."""
        from matlake.encoders.graph_inputs import graph_inputs

        return graph_inputs(inputs.graphs, self.recipe)

    def _no_crystals(self) -> EncoderError:
        return EncoderError(
            f"encoder {self.card.name} takes crystals, not compositions", "name an encoder of compositions"
        )
