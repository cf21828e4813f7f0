"""Which crystals run together, and the arrays that a graph encoder's ONNX file takes of their graphs.

Sums over neighbours are gathers from padded tables, since no scatter operator of ONNX Runtime is both fast and right
(docs/guides/training-encoders.md). What depends on a distance only is computed once for each distinct distance. The
last edge, or message, of a batch belongs to nobody: padding points at it, and a batch of atoms without neighbours has
it alone.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.base import Arrays, Batch
from matlake.encoders.padded import angles, bonds, geometry, pairs, triplets, vectors
from matlake.materials.angular_graphs import AngularGraphs
from matlake.materials.bond_graphs import BondGraphs
from matlake.materials.geometry.attributes import GeometryAttributes
from matlake.materials.graph_recipe import GraphRecipe
from matlake.materials.graphs import Graphs
from matlake.materials.pair_graphs import PairGraphs
from matlake.materials.triplet_graphs import TripletGraphs
from matlake.materials.vector_graphs import VectorGraphs

EDGES_A_RUN: Final = {"cpu": 2_000, "cuda": 200_000}
"""On a CPU, activations stay in the cache; on a GPU, a run keeps it busy and fits in a few gigabytes."""

_INPUTS: Final[dict[type, Callable[[Any], Arrays]]] = {
    PairGraphs: pairs.pair_inputs,
    AngularGraphs: angles.angular_inputs,
    BondGraphs: bonds.bond_inputs,
    TripletGraphs: triplets.triplet_inputs,
    VectorGraphs: vectors.vector_inputs,
    GeometryAttributes: geometry.geometry_inputs,
}

AXES: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "pairs": pairs.AXES,
    "angles": angles.AXES,
    "bonds": bonds.AXES,
    "triplets": triplets.AXES,
    "vectors": vectors.AXES,
    "geometry": geometry.AXES,
}
"""Kind of graph -> input -> names of its axes, of which those of one name have one size. ``degrees*places`` is a
multiple, as is ``3*places``; the factor is a field of the recipe or a number. A number alone is a fixed size."""


def axes_of(recipe: GraphRecipe) -> Mapping[str, tuple[str, ...]]:
    """Return the inputs of encoders of a kind of graphs with their axes, as in ``AXES``, those of plug-ins included.

    Raises:
        PluginError: The package that adds the kind is not installed, or cannot be used.
    """
    plugin = recipe.plugin
    return AXES[recipe.kind] if plugin is None else plugin.axes


def collate(graphs: Graphs, edges_a_run: int, recipe: GraphRecipe | None = None) -> list[Batch]:
    """Return all runs of the encoder with their inputs, for a device that is faster than their making."""
    return [(rows, graph_inputs(graphs.take(rows), recipe)) for rows in runs(graphs, edges_a_run)]


def runs(graphs: Graphs, edges_a_run: int) -> Iterator[NDArray[np.int64]]:
    """Yield the crystals of each run of the encoder.

    Crystals are sorted by the widest row of their tables, then by edges: padding is then a fifth of the tables, and a
    run holds a bounded number of edges, or a single crystal.

    Args:
        graphs: The graphs.
        edges_a_run: Edges that fill a run.
    """
    edges = graphs.edges
    order = np.lexsort((edges, graphs.widest))
    filled = np.cumsum(edges[order]) // edges_a_run
    for rows in np.split(order, np.flatnonzero(np.diff(filled)) + 1):
        if len(rows):
            yield rows


def graph_inputs(graphs: Graphs, recipe: GraphRecipe | None = None) -> Arrays:
    """Return the inputs of an encoder for some graphs, as ``axes_of`` the recipe says.

    Args:
        graphs: The graphs.
        recipe: How they were made; may be left out where no plug-in has made them.
    """
    plugin = None if recipe is None else recipe.plugin
    return _INPUTS[type(graphs)](graphs) if plugin is None else plugin.inputs(graphs)
