"""Layers of a network from vectors of atoms: means, standard deviations, and what is normalised before."""

from collections.abc import Sequence
from typing import Final, Protocol

import torch

_SMALLEST: Final = 1e-5
"""Added to variances: an atom without neighbours has none."""


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


def normalised(atoms: torch.Tensor) -> torch.Tensor:
    """Return vectors of atoms [atoms, width] of mean zero and variance one each, by elementary steps.

    ONNX Runtime's normalisation takes the variance for the mean of squares less the square of the mean, which cancels.
    """
    share = 1 / atoms.shape[1]
    centred = atoms - atoms.sum(dim=1, keepdim=True) * share
    variances = torch.square(centred).sum(dim=1, keepdim=True) * share
    return centred / torch.sqrt(variances + _SMALLEST)
