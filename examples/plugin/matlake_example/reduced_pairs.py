"""Graphs of pairs whose distances are in units of the sum of covalent radii: 1 is a bond, whatever the elements.

An encoder takes them as it takes those of matlake's kind ``pairs``; ``lengths`` have no unit.
"""

from dataclasses import replace

import numpy as np

from matlake.encoders.padded import pairs
from matlake.materials.crystal import CrystalColumns
from matlake.materials.geometry.elements import COVALENT_RADII_A
from matlake.materials.graph_kinds import GraphKind
from matlake.materials.graph_recipe import GraphRecipe
from matlake.materials.pair_graphs import PairGraphs, build_pair_graphs
from matlake.materials.periodic_table import SYMBOLS

RADII_A = np.full(len(SYMBOLS) + 1, 1.5)  # of elements whose radius is not in the table
RADII_A[1 : len(COVALENT_RADII_A) + 1] = COVALENT_RADII_A


def build(recipe: GraphRecipe, crystals: CrystalColumns, resolution: float) -> PairGraphs:
    """Return the graphs of crystals; the cutoff is in Å."""
    graphs = build_pair_graphs(
        crystals, recipe.cutoff_A, recipe.max_neighbours, resolution=resolution, rounds=recipe.blocks
    )
    radii = RADII_A[graphs.numbers]
    sums = np.repeat(radii, np.diff(graphs.edge_offsets)) + radii[graphs.neighbours]
    return replace(graphs, distances=graphs.distances / sums)


REDUCED_PAIRS = GraphKind("reduced-pairs", build, pairs.pair_inputs, pairs.AXES)
