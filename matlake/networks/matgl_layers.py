"""Radial functions and dense layers that networks of matgl share; parameters are named as in the published code."""

import math
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn


class SmoothBessel(nn.Module):
    """Orthogonal radial functions whose first and second derivatives vanish at the cutoff.

    Sums of spherical Bessel functions of degree zero (Kocer et al., J. Chem. Phys. 150, 154102, 2019, arXiv
    1907.02374), here as sums of sin(kπx)/x with x = r/c.
    """

    frequencies: torch.Tensor
    coefficients: torch.Tensor

    def __init__(self, count: int, cutoff: float) -> None:
        """Prepare so many functions up to a cutoff in Å."""
        super().__init__()
        self.cutoff = cutoff
        frequencies = np.arange(1, count + 2) * np.pi
        self.register_buffer("frequencies", torch.from_numpy(frequencies), persistent=False)
        self.register_buffer("coefficients", torch.from_numpy(smooth_bessel(count, cutoff)), persistent=False)

    def forward(self, distances: torch.Tensor) -> torch.Tensor:
        """Return [edges, count]; in float64 inside, since the sums lose digits."""
        x = distances.double()[:, None] / self.cutoff
        return ((torch.sin(x * self.frequencies.double()) / x) @ self.coefficients.double()).to(distances.dtype)


def smooth_bessel(count: int, cutoff: float) -> NDArray[np.float64]:
    """Return the coefficients of sin(kπx)/x, k = 1 … count + 1, in the smooth functions, [count + 1, count]."""
    n = np.arange(count)
    plain = np.zeros((count + 1, count))  # f_n, two neighbouring sines each
    factor = (-1.0) ** n * math.sqrt(2) * (n + 1) * (n + 2) / np.hypot(n + 1, n + 2) / cutoff**1.5
    plain[n, n], plain[n + 1, n] = factor / (n + 1), factor / (n + 2)
    overlap = n**2 * (n + 2) ** 2 / (4 * (n + 1) ** 4 + 1)
    found = np.zeros_like(plain)
    norm = 1.0
    found[:, 0] = plain[:, 0]
    for k in range(1, count):  # Gram and Schmidt: only neighbours overlap
        before, norm = norm, 1 - overlap[k] / norm
        found[:, k] = (plain[:, k] + math.sqrt(overlap[k] / before) * found[:, k - 1]) / math.sqrt(norm)
    return found


class Dense(nn.Module):
    """A linear layer and its activation."""

    def __init__(self, inputs: int, outputs: int, activation: nn.Module) -> None:
        """Build the layer."""
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs, outputs), activation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [n, outputs]."""
        return self.layers(x)  # type: ignore[no-any-return]


class GatedMLP(nn.Module):
    """Linear layers with SiLU, times others of the same widths that end in a sigmoid."""

    def __init__(self, widths: tuple[int, ...], *, bias: bool = True, activate_last: bool = True) -> None:
        """Build layers between the widths."""
        super().__init__()
        self.layers, self.gates = nn.Sequential(), nn.Sequential()
        last = len(widths) - 2
        for k, (inputs, outputs) in enumerate(pairwise(widths)):
            self.layers.append(nn.Linear(inputs, outputs, bias=bias))
            self.gates.append(nn.Linear(inputs, outputs, bias=bias))
            if k < last or activate_last:
                self.layers.append(nn.SiLU())
            self.gates.append(nn.SiLU() if k < last else nn.Sigmoid())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [n, last width]."""
        return self.layers(x) * self.gates(x)  # type: ignore[no-any-return]
