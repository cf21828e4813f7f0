"""Batches of graphs with angles between bonds as tensors, in the sparse form that M3GNet takes."""

from dataclasses import dataclass

import numpy as np
import torch

from matlake.materials.triplet_graphs import TripletGraphs
from matlake.networks.batches import index_tensor, mean_over_atoms


@dataclass(frozen=True)
class TripletBatch:
    """The input of M3GNet for some crystals.

    Attributes:
        numbers: int64 [atoms], atomic numbers.
        weights: [atoms], share of its crystal that an atom stands for.
        crystal: int64 [atoms], which crystal it belongs to.
        owner: int64 [edges], the atom that an edge belongs to.
        neighbour: int64 [edges], the atom at its other end.
        distances: [edges] in Å.
        counts: [edges], how often the edge occurs.
        first: int64 [pairs], an edge that is updated.
        second: int64 [pairs], a bond of the same atom that updates it.
        legendre: [pairs, L], the Legendre polynomials of their angles, summed over the members of the second.
        size: Number of crystals.
    """

    numbers: torch.Tensor
    weights: torch.Tensor
    crystal: torch.Tensor
    owner: torch.Tensor
    neighbour: torch.Tensor
    distances: torch.Tensor
    counts: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor
    legendre: torch.Tensor
    size: int

    def pool(self, atoms: torch.Tensor) -> torch.Tensor:
        """Return the mean of [atoms, width] over the atoms of each crystal, [crystals, width]."""
        return mean_over_atoms(self, atoms)


def triplet_batch(graphs: TripletGraphs, dtype: torch.dtype = torch.float32) -> TripletBatch:
    """Turn graphs into one batch."""
    bonds, atoms = graphs.bonds, np.arange(len(graphs.numbers))
    squares = bonds**2
    pair_offsets = np.concatenate([[0], np.cumsum(squares)])
    owner = np.repeat(atoms, squares)
    place = np.arange(pair_offsets[-1]) - pair_offsets[owner]
    start = graphs.edge_offsets[owner]
    return TripletBatch(
        index_tensor(graphs.numbers),
        torch.from_numpy(graphs.weights).to(dtype),
        index_tensor(np.repeat(np.arange(len(graphs)), np.diff(graphs.atom_offsets))),
        index_tensor(np.repeat(atoms, np.diff(graphs.edge_offsets))),
        index_tensor(graphs.neighbours),
        torch.from_numpy(graphs.distances).to(dtype),
        torch.from_numpy(graphs.counts).to(dtype),
        index_tensor(start + place // bonds[owner]),
        index_tensor(start + place % bonds[owner]),
        torch.from_numpy(graphs.couplings.reshape(-1, graphs.degrees)).to(dtype),
        len(graphs),
    )
