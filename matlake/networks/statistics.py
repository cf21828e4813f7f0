"""Mean and standard deviation over the atoms of a crystal, as layers of a network."""

from collections.abc import Sequence
from typing import Protocol

import torch


class AtomBatch(Protocol):
    """What the batches of all graphs have."""

    @property
    def crystal(self) -> torch.Tensor:
        """int64 [atoms], which crystal an atom belongs to."""

    def pool(self, atoms: torch.Tensor) -> torch.Tensor:
        """Return the mean of [atoms, width] over the atoms of each crystal, [crystals, width]."""


def layers_of_atoms(batch: AtomBatch, found: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return ``0``, ``1``, … and ``0_std``, ``1_std``, …: means and deviations of vectors of atoms [atoms, width]."""
    means = [batch.pool(atoms) for atoms in found]
    squares = [
        torch.square(atoms - mean.index_select(0, batch.crystal)) for atoms, mean in zip(found, means, strict=True)
    ]
    deviations = {f"{k}_std": torch.sqrt(batch.pool(square)) for k, square in enumerate(squares)}
    return {**{str(k): mean for k, mean in enumerate(means)}, **deviations}


def pooled_layers(pool: torch.Tensor, found: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Return the same layers, without their names, for a dense matrix of weights [crystals, atoms]."""
    belongs = spread(pool)
    means = [pool @ atoms for atoms in found]
    squares = [torch.square(atoms - belongs @ mean) for atoms, mean in zip(found, means, strict=True)]
    return (*means, *(torch.sqrt(pool @ square) for square in squares))


def spread(pool: torch.Tensor) -> torch.Tensor:
    """Return the matrix [atoms, crystals] that gives each atom what its crystal has: ones where there are weights."""
    return (-pool < 0).to(pool.dtype).T
