"""ElemNet: a deep fully connected network on element fractions.

Source: Jha et al., Sci. Rep. 8, 17593 (2018); layer sizes and the transfer of hidden layers as in
Gupta et al., Nat. Commun. 12, 6595 (2021). No dropout, as in the latter.
"""

from itertools import pairwise
from typing import Final, cast

import torch
from torch import nn

N_ELEMENTS: Final = 86
HIDDEN_WIDTHS: Final = (1024,) * 4 + (512,) * 3 + (256,) * 3 + (128,) * 3 + (64,) * 2 + (32,)


class ElemNet(nn.Module):
    """Sixteen ReLU layers and a linear output, 4,631,361 parameters.

    Weights start from He's normal initialisation: with torch's default the signal shrinks by 0.41 a layer
    and a network this deep hardly moves in its first epochs.
    """

    def __init__(self, targets: int = 1) -> None:
        """Build the network with fresh weights from torch's global generator, for a number of targets."""
        super().__init__()
        widths = (N_ELEMENTS, *HIDDEN_WIDTHS)
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.output = nn.Linear(HIDDEN_WIDTHS[-1], targets)
        for layer in self.hidden:
            nn.init.kaiming_normal_(cast("torch.Tensor", layer.weight), nonlinearity="relu")
            nn.init.zeros_(cast("torch.Tensor", layer.bias))
        nn.init.kaiming_normal_(self.output.weight, nonlinearity="linear")
        nn.init.zeros_(self.output.bias)

    def forward(self, fractions: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Return sixteen hidden layers after ReLU [batch, width] and the prediction [batch, targets] of [batch, 86]."""
        activations = []
        x = fractions
        for layer in self.hidden:
            x = torch.relu(layer(x))
            activations.append(x)
        return (*activations, self.output(x))

    def predict(self, fractions: torch.Tensor) -> torch.Tensor:
        """Return only the prediction, [batch, targets]."""
        return self.forward(fractions)[-1]

    @torch.no_grad()
    def fold_target_scaling(self, mean: torch.Tensor, std: torch.Tensor) -> None:
        """Turn a network trained on ``(y - mean) / std`` into one that predicts ``y``."""
        self.output.weight.mul_(std[:, None])
        self.output.bias.mul_(std).add_(mean)
