"""A radial basis whose first and second derivatives vanish at the cutoff, made of spherical Bessel functions.

Source: Kocer et al., J. Chem. Phys. 150, 154102 (2019), section II: sums of two neighbouring functions
sin(nπr/c) / (nπr/c), orthonormalised by a recurrence. Each is a linear combination of the first functions of this form.
"""

import math

import torch
from torch import nn


class SmoothBessel(nn.Module):
    """The first functions of the basis."""

    mixing: torch.Tensor
    waves: torch.Tensor

    def __init__(self, count: int, cutoff: float) -> None:
        """Build the basis of ``count`` functions up to a cutoff in Å; nothing in it is learnt."""
        super().__init__()
        self.register_buffer("mixing", _mixing(count, cutoff), persistent=False)
        self.register_buffer("waves", torch.arange(1, count + 2) * (math.pi / cutoff), persistent=False)

    def forward(self, distances: torch.Tensor) -> torch.Tensor:
        """Return the values of [edges] distances in Å, [edges, count]."""
        phases = distances[:, None] * self.waves
        values: torch.Tensor = torch.sin(phases) / phases @ self.mixing.to(phases.dtype)
        return values


def _mixing(count: int, cutoff: float) -> torch.Tensor:
    """Return, float64 [count + 1, count], the coefficients of the functions in terms of sin(nπr/c) / (nπr/c)."""
    mixing = torch.zeros(count + 1, count, dtype=torch.float64)
    d = 1.0
    for n in range(count):
        scale = (-1) ** n * math.sqrt(2) * math.pi / cutoff**1.5 * (n + 1) * (n + 2)
        mixing[n : n + 2, n] = scale / math.sqrt((n + 1) ** 2 + (n + 2) ** 2)
        if n:
            e = n**2 * (n + 2) ** 2 / (4 * (n + 1) ** 4 + 1)
            before, d = d, 1 - e / d
            mixing[:, n] = (mixing[:, n] + math.sqrt(e / before) * mixing[:, n - 1]) / math.sqrt(d)
    return mixing
