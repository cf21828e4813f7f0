"""Batches of graphs of atoms, bonds and angles as tensors, in the sparse form that CHGNet takes."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from matlake.materials.bond_graphs import BondGraphs
from matlake.networks.batches import index_tensor, mean_over_atoms, tensors_on


@dataclass(frozen=True)
class BondBatch:
    """The input of CHGNet for some crystals.

    Attributes:
        numbers: int64 [atoms], atomic numbers.
        weights: [atoms], share of its crystal that an atom stands for.
        crystal: int64 [atoms], which crystal it belongs to.
        target: int64 [messages], the atom that a message goes to.
        source: int64 [messages], the atom that it comes from.
        distances: [messages] in Å.
        counts: [messages], how often the message occurs.
        along: int64 [messages], the bond it runs along, -1 beyond the bond cutoff.
        bond_distances: [bonds] in Å.
        bond_ends: int64 [bonds, 2], the ends of a bond.
        end_atom: int64 [ends], the atom at an end.
        end_bond: int64 [ends], the bond that it is an end of.
        angle_end: int64 [angles], the end that an angle is at.
        angle_bond: int64 [angles], its other bond.
        angles: [angles] in radians.
        angle_counts: [angles], how often the angle occurs at the end.
        size: Number of crystals.
    """

    numbers: torch.Tensor
    weights: torch.Tensor
    crystal: torch.Tensor
    target: torch.Tensor
    source: torch.Tensor
    distances: torch.Tensor
    counts: torch.Tensor
    along: torch.Tensor
    bond_distances: torch.Tensor
    bond_ends: torch.Tensor
    end_atom: torch.Tensor
    end_bond: torch.Tensor
    angle_end: torch.Tensor
    angle_bond: torch.Tensor
    angles: torch.Tensor
    angle_counts: torch.Tensor
    size: int

    def pool(self, atoms: torch.Tensor) -> torch.Tensor:
        """Return the mean of [atoms, width] over the atoms of each crystal, [crystals, width]."""
        return mean_over_atoms(self, atoms)

    def to(self, device: str) -> "BondBatch":
        """Return the batch on a device."""
        return replace(self, **tensors_on(self, device))


def bond_batch(graphs: BondGraphs, dtype: torch.dtype = torch.float32) -> BondBatch:
    """Turn graphs into one batch."""
    return BondBatch(
        index_tensor(graphs.numbers),
        torch.from_numpy(graphs.weights).to(dtype),
        index_tensor(np.repeat(np.arange(len(graphs)), np.diff(graphs.atom_offsets))),
        index_tensor(np.repeat(np.arange(len(graphs.numbers)), np.diff(graphs.edge_offsets))),
        index_tensor(graphs.neighbours),
        torch.from_numpy(graphs.distances).to(dtype),
        torch.from_numpy(graphs.counts).to(dtype),
        index_tensor(graphs.bonds),
        torch.from_numpy(graphs.bond_distances).to(dtype),
        index_tensor(graphs.bond_ends),
        index_tensor(graphs.end_atoms),
        index_tensor(graphs.end_bonds),
        index_tensor(np.repeat(np.arange(len(graphs.end_atoms)), np.diff(graphs.angle_offsets))),
        index_tensor(graphs.angle_bonds),
        torch.from_numpy(graphs.angles).to(dtype),
        torch.from_numpy(graphs.angle_counts).to(dtype),
        len(graphs),
    )
