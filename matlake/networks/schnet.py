"""SchNet: continuous-filter convolutions.

Source: Schütt et al., J. Chem. Phys. 148, 241722 (2018). Parameter names are those of PyTorch Geometric, and so of
Open Catalyst, whose state dicts load.
"""

import math

import torch
from torch import nn
from torch.nn import functional

from matlake.networks.batches import PairBatch
from matlake.networks.readout import Readout


class SchNet(nn.Module):
    """Atom vectors, multiplied element by element with filters of the distance, summed over neighbours."""

    def __init__(
        self,
        *,
        hidden_channels: int = 128,
        num_filters: int = 128,
        num_interactions: int = 4,
        num_gaussians: int = 50,
        cutoff: float = 6.0,
        targets: int = 1,
    ) -> None:
        """Build the network with fresh weights, drawn from torch's global generator.

        Args:
            hidden_channels: Length of an atom's vector.
            num_filters: Length of a filter.
            num_interactions: Interaction blocks.
            num_gaussians: Gaussians from 0 to the cutoff that a distance is expanded in.
            cutoff: In Å; filters go to zero there with a cosine.
            targets: Numbers predicted.
        """
        super().__init__()
        self.embedding = nn.Embedding(100, hidden_channels, padding_idx=0)
        self.distance_expansion = _GaussianSmearing(cutoff, num_gaussians)
        self.interactions = nn.ModuleList(
            _Interaction(hidden_channels, num_gaussians, num_filters, cutoff) for _ in range(num_interactions)
        )
        self.lin1 = nn.Linear(hidden_channels, hidden_channels // 2)
        self.lin2 = nn.Linear(hidden_channels // 2, targets)

    def forward(self, batch: PairBatch) -> dict[str, torch.Tensor]:
        """Return the layers by name, each [crystals, width]."""
        found = self._atoms(batch)
        layers = {str(number): batch.pool(h) for number, h in enumerate(found[:-1], start=1)}
        prediction = self.lin2(shifted_softplus(self.lin1(found[-1])))
        return {**layers, "pooled": batch.pool(found[-1]), "prediction": batch.pool(prediction)}

    def _atoms(self, batch: PairBatch) -> list[torch.Tensor]:
        """Return the atoms' vectors after each interaction, [atoms, width]."""
        h = self.embedding(batch.numbers)
        expanded = self.distance_expansion(batch.distances)
        found = []
        for interaction in self.interactions:
            h = h + interaction(h, expanded, batch)
            found.append(h)
        return found

    def predict(self, batch: PairBatch) -> torch.Tensor:
        """Return only the prediction, [crystals, targets]."""
        return self(batch)["prediction"]  # type: ignore[no-any-return]

    def readout(self) -> Readout:
        """Return the output layer, on the mean of what comes into it."""

        def set_output(weight: torch.Tensor, bias: torch.Tensor) -> None:
            self.lin2.weight.copy_(weight)
            self.lin2.bias.copy_(bias)

        return Readout(lambda batch: batch.pool(shifted_softplus(self.lin1(self._atoms(batch)[-1]))), set_output)

    @torch.no_grad()
    def fold_target_scaling(self, mean: torch.Tensor, std: torch.Tensor) -> None:
        """Turn a network trained on ``(y - mean) / std`` into one that predicts ``y``."""
        self.lin2.weight.mul_(std[:, None])
        self.lin2.bias.mul_(std).add_(mean)


class _GaussianSmearing(nn.Module):
    offset: torch.Tensor

    def __init__(self, cutoff: float, count: int) -> None:
        super().__init__()
        self.register_buffer("offset", torch.linspace(0.0, cutoff, count))

    def forward(self, distances: torch.Tensor) -> torch.Tensor:
        width = self.offset[1] - self.offset[0]
        return torch.exp(-0.5 * ((distances[:, None] - self.offset) / width) ** 2)


class _Interaction(nn.Module):
    def __init__(self, hidden: int, gaussians: int, filters: int, cutoff: float) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(gaussians, filters), _ShiftedSoftplus(), nn.Linear(filters, filters))
        self.conv = _Convolution(hidden, filters, cutoff)
        self.lin = nn.Linear(hidden, hidden)
        for layer in (self.mlp[0], self.mlp[2], self.lin):
            nn.init.xavier_uniform_(layer.weight)  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]

    def forward(self, h: torch.Tensor, expanded: torch.Tensor, batch: PairBatch) -> torch.Tensor:
        received: torch.Tensor = self.conv(h, self.mlp(expanded), batch)
        return functional.linear(shifted_softplus(received), self.lin.weight, self.lin.bias)


class _Convolution(nn.Module):
    def __init__(self, hidden: int, filters: int, cutoff: float) -> None:
        super().__init__()
        self.lin1 = nn.Linear(hidden, filters, bias=False)
        self.lin2 = nn.Linear(filters, hidden)
        self.cutoff = cutoff
        nn.init.xavier_uniform_(self.lin1.weight)
        nn.init.xavier_uniform_(self.lin2.weight)
        nn.init.zeros_(self.lin2.bias)

    def forward(self, h: torch.Tensor, filters: torch.Tensor, batch: PairBatch) -> torch.Tensor:
        fade = 0.5 * (torch.cos(batch.distances * (math.pi / self.cutoff)) + 1.0) * batch.counts
        projected = self.lin1(h)
        messages = projected.index_select(0, batch.neighbour) * (filters * fade[:, None])
        received = torch.zeros_like(projected).index_add(0, batch.owner, messages)
        out: torch.Tensor = self.lin2(received)
        return out


class _ShiftedSoftplus(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return shifted_softplus(x)


def shifted_softplus(x: torch.Tensor) -> torch.Tensor:
    """Return ln(½ eˣ + ½)."""
    return functional.softplus(x) - math.log(2.0)
