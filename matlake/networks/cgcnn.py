"""CGCNN: the crystal graph convolutional network.

Source: Xie and Grossman, Phys. Rev. Lett. 120, 145301 (2018). Parameter names are those of the published code, whose
checkpoints load. One thing is rearranged, exactly: the linear layer on (atom, neighbour, edge) is applied to the three
parts one by one, so that atoms are projected before they are gathered.
"""

from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from matlake.networks.batches import PairBatch
from matlake.networks.readout import Readout

ATOM_FEATURES: Final = Path(__file__).with_name("cgcnn_atom_features.npy")
"""uint8 [101, 92]: one-hot codes of group, period, electronegativity and six more for Z = 1 to 100, as published with
CGCNN (MIT licence, © 2018 Tian Xie)."""

GAUSSIAN_STEP_A: Final = 0.2


class CGCNN(nn.Module):
    """Gated convolutions over the nearest neighbours, mean pooling, and a small perceptron."""

    offsets: torch.Tensor
    atom_features: torch.Tensor

    def __init__(
        self,
        *,
        atom_width: int = 64,
        convolutions: int = 4,
        hidden_width: int = 128,
        hidden_layers: int = 1,
        cutoff: float = 8.0,
        targets: int = 1,
    ) -> None:
        """Build the network with fresh weights, drawn from torch's global generator.

        Args:
            atom_width: Length of an atom's vector.
            convolutions: Interaction blocks.
            hidden_width: Length of the hidden vector behind the pooling.
            hidden_layers: Layers behind the pooling, the output not counted.
            cutoff: Largest distance in Å; Gaussians stand every 0.2 Å up to here.
            targets: Numbers predicted.
        """
        super().__init__()
        features = torch.from_numpy(np.load(ATOM_FEATURES, allow_pickle=False)).float()
        self.register_buffer("atom_features", features, persistent=False)
        steps = round(cutoff / GAUSSIAN_STEP_A)
        offsets = torch.arange(steps + 1, dtype=torch.float64) * GAUSSIAN_STEP_A
        self.register_buffer("offsets", offsets.float(), persistent=False)
        self.embedding = nn.Linear(features.shape[1], atom_width)
        self.convs = nn.ModuleList(_Convolution(atom_width, steps + 1) for _ in range(convolutions))
        self.conv_to_fc = nn.Linear(atom_width, hidden_width)
        if hidden_layers > 1:
            self.fcs = nn.ModuleList(nn.Linear(hidden_width, hidden_width) for _ in range(hidden_layers - 1))
        self.fc_out = nn.Linear(hidden_width, targets)

    def forward(self, batch: PairBatch) -> dict[str, torch.Tensor]:
        """Return the layers by name, each [crystals, width]."""
        x = self.embedding(self.atom_features[batch.numbers])
        bonds = torch.exp(-(((batch.distances[:, None] - self.offsets) / GAUSSIAN_STEP_A) ** 2))
        found = {}
        for number, convolution in enumerate(self.convs, start=1):
            x = convolution(x, bonds, batch)
            found[str(number)] = batch.pool(x)
        pooled = found.pop(str(len(self.convs)))
        hidden = functional.softplus(self.conv_to_fc(functional.softplus(pooled)))
        for layer in getattr(self, "fcs", ()):
            hidden = functional.softplus(layer(hidden))
        return {**found, "pooled": pooled, "hidden": hidden, "prediction": self.fc_out(hidden)}

    def predict(self, batch: PairBatch) -> torch.Tensor:
        """Return only the prediction, [crystals, targets]."""
        return self(batch)["prediction"]  # type: ignore[no-any-return]

    def readout(self) -> Readout:
        """Return the output layer, on the hidden vector."""

        def set_output(weight: torch.Tensor, bias: torch.Tensor) -> None:
            self.fc_out.weight.copy_(weight)
            self.fc_out.bias.copy_(bias)

        return Readout(lambda batch: self(batch)["hidden"], set_output)

    @torch.no_grad()
    def fold_target_scaling(self, mean: torch.Tensor, std: torch.Tensor) -> None:
        """Turn a network trained on ``(y - mean) / std`` into one that predicts ``y``."""
        self.fc_out.weight.mul_(std[:, None])
        self.fc_out.bias.mul_(std).add_(mean)


class _Convolution(nn.Module):
    """Equation 5 of the paper."""

    def __init__(self, width: int, gaussians: int) -> None:
        super().__init__()
        self.fc_full = nn.Linear(2 * width + gaussians, 2 * width)
        self.bn1 = nn.BatchNorm1d(2 * width)
        self.bn2 = nn.BatchNorm1d(width)

    def forward(self, x: torch.Tensor, bonds: torch.Tensor, batch: PairBatch) -> torch.Tensor:
        width = x.shape[1]
        own, other, bond = torch.split(self.fc_full.weight, [width, width, bonds.shape[1]], dim=1)
        gated = (
            functional.linear(x, own, self.fc_full.bias).index_select(0, batch.owner)
            + functional.linear(x, other).index_select(0, batch.neighbour)
            + functional.linear(bonds, bond)
        )
        gate, core = self.bn1(gated).chunk(2, dim=1)
        message = torch.sigmoid(gate) * functional.softplus(core) * batch.counts[:, None]
        received = torch.zeros_like(x).index_add(0, batch.owner, message)
        return functional.softplus(x + self.bn2(received))
