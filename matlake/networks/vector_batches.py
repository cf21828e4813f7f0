"""Batches of graphs with directions as tensors, in the sparse form that the reference TensorNet takes."""

from dataclasses import dataclass

import numpy as np
import torch

from matlake.materials.vector_graphs import VectorGraphs
from matlake.networks.batches import index_tensor, mean_over_atoms


@dataclass(frozen=True)
class VectorBatch:
    """The input of TensorNet for some crystals, with every atom and every edge.

    Attributes:
        numbers: int64 [atoms], atomic numbers.
        weights: [atoms], share of its crystal that an atom stands for.
        crystal: int64 [atoms], which crystal it belongs to.
        owner: int64 [edges], the atom that an edge leads to.
        neighbour: int64 [edges], the atom that it comes from.
        distances: [edges] in Å.
        directions: [edges, 3], unit vectors from the owner to the neighbour.
        size: Number of crystals.
    """

    numbers: torch.Tensor
    weights: torch.Tensor
    crystal: torch.Tensor
    owner: torch.Tensor
    neighbour: torch.Tensor
    distances: torch.Tensor
    directions: torch.Tensor
    size: int

    def pool(self, atoms: torch.Tensor) -> torch.Tensor:
        """Return the mean of [atoms, width] over the atoms of each crystal, [crystals, width]."""
        return mean_over_atoms(self, atoms)


def vector_batch(graphs: VectorGraphs, dtype: torch.dtype = torch.float32) -> VectorBatch:
    """Turn graphs of all atoms and edges (resolution 0) into one batch.

    Raises:
        ValueError: An edge stands for several, or an atom for others: such have no direction of their own.
    """
    if (graphs.moments[:, 0] != 1).any() or len(np.unique(graphs.turns, axis=0)) > 1:
        raise ValueError("the reference network takes graphs of all atoms and edges: build them with resolution 0")
    atoms = np.diff(graphs.atom_offsets)
    return VectorBatch(
        index_tensor(graphs.numbers),
        torch.from_numpy(graphs.weights).to(dtype),
        index_tensor(np.repeat(np.arange(len(graphs)), atoms)),
        index_tensor(np.repeat(np.arange(len(graphs.numbers)), np.diff(graphs.edge_offsets))),
        index_tensor(graphs.neighbours),
        torch.from_numpy(graphs.distances).to(dtype),
        torch.from_numpy(graphs.moments[:, 1:4].copy()).to(dtype),
        len(graphs),
    )
