"""Batches of graphs as tensors, in the sparse form that the reference networks take."""

from dataclasses import dataclass, fields, replace
from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from matlake.materials.angular_graphs import AngularGraphs
from matlake.materials.pair_graphs import PairGraphs

_WIDTHS: Final = (2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024)


@dataclass(frozen=True)
class PairBatch:
    """The input of CGCNN and SchNet for some crystals.

    Attributes:
        numbers: int64 [atoms], atomic numbers.
        weights: [atoms], share of its crystal that an atom stands for.
        crystal: int64 [atoms], which crystal it belongs to.
        owner: int64 [edges], the atom that an edge leads to.
        neighbour: int64 [edges], the atom that it comes from.
        distances: [edges] in Å.
        counts: [edges], how often the edge occurs.
        size: Number of crystals.
    """

    numbers: torch.Tensor
    weights: torch.Tensor
    crystal: torch.Tensor
    owner: torch.Tensor
    neighbour: torch.Tensor
    distances: torch.Tensor
    counts: torch.Tensor
    size: int

    def pool(self, atoms: torch.Tensor) -> torch.Tensor:
        """Return the mean of [atoms, width] over the atoms of each crystal, [crystals, width]."""
        return mean_over_atoms(self, atoms)

    def to(self, device: str) -> "PairBatch":
        """Return the batch on a device."""
        return replace(self, **tensors_on(self, device))


@dataclass(frozen=True)
class CouplingBlock:
    """The angular couplings of atoms with about equally many messages, padded with zeros.

    Attributes:
        couplings: [atoms, most out, most in · L].
        incoming: int64 [atoms, most in]; padding points behind the last message.
    """

    couplings: torch.Tensor
    incoming: torch.Tensor


@dataclass(frozen=True)
class AngularBatch:
    """The input of DimeNet++ for some crystals.

    Attributes:
        numbers: int64 [atoms], atomic numbers.
        weights: [atoms], share of its crystal that an atom stands for.
        crystal: int64 [atoms], which crystal it belongs to.
        source: int64 [messages], the atom that a message comes from.
        target: int64 [messages], the atom that it goes to.
        distances: [messages] in Å.
        owner: int64 [entries], an atom that messages come into.
        incoming: int64 [entries], a message that comes into it.
        counts: [entries], how many such messages come in.
        blocks: The angular couplings, in groups of like size.
        rows: int64 [messages], where a message's update stands among the rows of all blocks.
        size: Number of crystals.
    """

    numbers: torch.Tensor
    weights: torch.Tensor
    crystal: torch.Tensor
    source: torch.Tensor
    target: torch.Tensor
    distances: torch.Tensor
    owner: torch.Tensor
    incoming: torch.Tensor
    counts: torch.Tensor
    blocks: tuple[CouplingBlock, ...]
    rows: torch.Tensor
    size: int

    def pool(self, atoms: torch.Tensor) -> torch.Tensor:
        """Return the mean of [atoms, width] over the atoms of each crystal, [crystals, width]."""
        return mean_over_atoms(self, atoms)

    def to(self, device: str) -> "AngularBatch":
        """Return the batch on a device."""
        blocks = tuple(CouplingBlock(b.couplings.to(device), b.incoming.to(device)) for b in self.blocks)
        return replace(self, blocks=blocks, **tensors_on(self, device))


def pair_batch(graphs: PairGraphs, dtype: torch.dtype = torch.float32) -> PairBatch:
    """Turn graphs into one batch."""
    atoms = np.diff(graphs.atom_offsets)
    return PairBatch(
        index_tensor(graphs.numbers),
        torch.from_numpy(graphs.weights).to(dtype),
        index_tensor(np.repeat(np.arange(len(graphs)), atoms)),
        index_tensor(np.repeat(np.arange(len(graphs.numbers)), np.diff(graphs.edge_offsets))),
        index_tensor(graphs.neighbours),
        torch.from_numpy(graphs.distances).to(dtype),
        torch.from_numpy(graphs.counts).to(dtype),
        len(graphs),
    )


def angular_batch(graphs: AngularGraphs, dtype: torch.dtype = torch.float32) -> AngularBatch:
    """Turn graphs into one batch."""
    n_atoms, degrees = len(graphs.numbers), graphs.degrees
    n_out, n_in = np.diff(graphs.out_offsets), np.diff(graphs.in_offsets)
    width = np.searchsorted(_WIDTHS, np.maximum(n_out, n_in))
    rows = np.empty(len(graphs.targets), dtype=np.int64)
    blocks = []
    done = 0
    for group in np.unique(width):
        atoms = np.flatnonzero(width == group)
        most_out, most_in = int(n_out[atoms].max()), int(n_in[atoms].max())
        couplings = np.zeros((len(atoms), most_out, most_in, degrees), dtype=np.float32)
        incoming = np.full((len(atoms), most_in), len(graphs.targets), dtype=np.int64)
        for k, atom in enumerate(atoms):
            p, q = n_out[atom], n_in[atom]
            values = graphs.couplings[graphs.coupling_offsets[atom] : graphs.coupling_offsets[atom + 1]]
            couplings[k, :p, :q] = values.reshape(p, q, degrees)
            incoming[k, :q] = graphs.incoming[graphs.in_offsets[atom] : graphs.in_offsets[atom + 1]]
            first = graphs.out_offsets[atom]
            rows[first : first + p] = done + k * most_out + np.arange(p)
        done += len(atoms) * most_out
        blocks.append(
            CouplingBlock(
                torch.from_numpy(couplings.reshape(len(atoms), most_out, most_in * degrees)).to(dtype),
                torch.from_numpy(incoming),
            )
        )
    return AngularBatch(
        index_tensor(graphs.numbers),
        torch.from_numpy(graphs.weights).to(dtype),
        index_tensor(np.repeat(np.arange(len(graphs)), np.diff(graphs.atom_offsets))),
        index_tensor(np.repeat(np.arange(n_atoms), n_out)),
        index_tensor(graphs.targets),
        torch.from_numpy(graphs.distances).to(dtype),
        index_tensor(np.repeat(np.arange(n_atoms), n_in)),
        index_tensor(graphs.incoming),
        torch.from_numpy(graphs.counts).to(dtype),
        tuple(blocks),
        torch.from_numpy(rows),
        len(graphs),
    )


def index_tensor(values: NDArray[np.integer]) -> torch.Tensor:
    """Return whole numbers as torch takes indices."""
    return torch.from_numpy(values.astype(np.int64))


class _Pooled(Protocol):
    """What a batch of any kind says of its atoms."""

    @property
    def weights(self) -> torch.Tensor: ...

    @property
    def crystal(self) -> torch.Tensor: ...

    @property
    def size(self) -> int: ...


def mean_over_atoms(batch: _Pooled, atoms: torch.Tensor) -> torch.Tensor:
    """Return the mean of [atoms, width] over the atoms of each crystal of a batch, [crystals, width]."""
    total = atoms.new_zeros(batch.size, atoms.shape[1])
    return total.index_add(0, batch.crystal, atoms * batch.weights[:, None])


def tensors_on(batch: Any, device: str) -> dict[str, Any]:
    """Return the tensors among the fields of a batch, by name, on a device."""
    values = ((field.name, getattr(batch, field.name)) for field in fields(batch))
    return {name: value.to(device) for name, value in values if isinstance(value, torch.Tensor)}
