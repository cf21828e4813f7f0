"""What the graphs of every kind have in common: many crystals in flat arrays, of which some can be taken."""

from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from matlake.materials.ragged import ranges


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


class TakenEdges(NamedTuple):
    """The atoms and edges of some crystals, renumbered.

    Attributes:
        atoms: int64 [a], which atoms these are.
        atom_offsets: int64 [b + 1], at which the atoms of each crystal begin now.
        edges: int64 [e], which edges these are.
        edge_offsets: int64 [a + 1], at which the edges of each atom begin now.
        neighbours: int32 [e], index among the atoms taken of the atom that an edge comes from.
    """

    atoms: NDArray[np.int64]
    atom_offsets: NDArray[np.int64]
    edges: NDArray[np.int64]
    edge_offsets: NDArray[np.int64]
    neighbours: NDArray[np.int32]


def take_edges(
    atom_offsets: NDArray[np.int64],
    edge_offsets: NDArray[np.int64],
    neighbours: NDArray[np.int32],
    rows: NDArray[np.integer],
) -> TakenEdges:
    """Return the atoms and edges of some crystals, in the order given, for the ``take`` of a kind of graphs.

    Args:
        atom_offsets: int64 [b + 1], of all crystals.
        edge_offsets: int64 [atoms + 1].
        neighbours: int32 [edges], index among all atoms.
        rows: The crystals.
    """
    atoms, new_atoms = ranges(atom_offsets, rows)
    edges, new_edges = ranges(edge_offsets, atoms)
    moved = np.repeat(new_atoms[:-1] - atom_offsets[rows], np.diff(new_atoms))
    renumbered = (neighbours[edges] + np.repeat(moved, np.diff(new_edges))).astype(np.int32)
    return TakenEdges(atoms, new_atoms, edges, new_edges, renumbered)
