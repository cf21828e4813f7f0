"""Transport costs: how they follow from the risk over environments. Imported only to train.

Source: Liu et al., AAAI 2021 (Stable Adversarial Learning): ∂R/∂w = ∂R/∂θ · ∂θ/∂X_A · ∂X_A/∂w.
"""

from collections.abc import Mapping, Sequence

import torch

from matlake.regress.regressors.ir_net_torch import TorchNetwork

FLOOR = 1.0
"""Value of a weight that is frozen: the smallest price there is, as in the published code, so that γ is at most 1."""

Parameters = Mapping[str, torch.Tensor]


class Weights:
    """Transport costs of the features: at least ``FLOOR``; one that falls below is frozen there."""

    def __init__(self, features: int, first: float, step: float) -> None:
        """Begin with equal weights.

        Args:
            features: Number of weights.
            first: Value of all of them.
            step: Largest change in an update.
        """
        self.values = torch.full((features,), first)
        self.frozen = torch.zeros(features, dtype=torch.bool)
        self.step = step

    @property
    def gamma(self) -> float:
        """1/min(w): the cheapest feature moves at a price of 1."""
        return 1.0 / float(self.values.min())

    def update(self, slope: torch.Tensor) -> None:
        """Take a step of size ``step`` in its largest part down a slope ∂R/∂w [d]; none if it is zero or not finite."""
        slope = torch.where(self.frozen, 0.0, slope)
        largest = slope.abs().max()
        if not torch.isfinite(largest) or largest <= torch.finfo(slope.dtype).tiny:
            return
        self.values = self.values - self.step * (slope / largest)
        self.frozen = self.frozen | (self.values < FLOOR)
        self.values = torch.where(self.frozen, FLOOR, self.values)


def risk(losses: torch.Tensor, alpha: float) -> torch.Tensor:
    """Return Σ_e L_e + alpha·(max L_e - min L_e) of the losses [environments]."""
    return losses.sum() + alpha * (losses.max() - losses.min())


def environment_losses(
    network: TorchNetwork, x: torch.Tensor, y: torch.Tensor, environments: torch.Tensor
) -> torch.Tensor:
    """Return the mean loss of each environment that has rows.

    Args:
        network: Evaluated as it is set.
        x: [n, d].
        y: [n].
        environments: [n], numbered from 0.
    """
    losses = torch.nn.functional.smooth_l1_loss(network(x), y, reduction="none")
    counts = torch.bincount(environments)
    sums = torch.zeros(len(counts), dtype=losses.dtype).index_add(0, environments, losses)
    return (sums / counts.clamp(min=1))[counts > 0]


def risk_slope(
    network: TorchNetwork, x: torch.Tensor, y: torch.Tensor, environments: torch.Tensor, alpha: float
) -> list[torch.Tensor]:
    """Return ∂R/∂θ, a tensor for each parameter in order."""
    network.eval()
    value = risk(environment_losses(network, x, y, environments), alpha)
    return list(torch.autograd.grad(value, list(network.parameters())))


def mixed_derivative(
    network: TorchNetwork, parameters: Parameters, x: torch.Tensor, y: torch.Tensor, direction: Sequence[torch.Tensor]
) -> torch.Tensor:
    """Return ∇_X ⟨direction, ∇_θ L(θ; X, y)⟩ [n, d], by one differentiation of a directional derivative.

    The matrix ∇_θ∇_X L, of as many rows as the network has parameters, is never made.

    Args:
        network: Evaluated without dropout.
        parameters: θ by name.
        x: [n, d].
        y: [n].
        direction: A tensor for each parameter, in order.
    """
    network.eval()
    theta = {name: value.detach().requires_grad_() for name, value in parameters.items()}
    rows = x.detach().requires_grad_()
    loss = torch.nn.functional.smooth_l1_loss(torch.func.functional_call(network, theta, (rows,)), y)
    slopes = torch.autograd.grad(loss, list(theta.values()), create_graph=True)
    along = torch.stack([(slope * part).sum() for slope, part in zip(slopes, direction, strict=True)]).sum()
    (mixed,) = torch.autograd.grad(along, rows)
    return mixed


def weight_slope(
    network: TorchNetwork,
    passed: Sequence[Parameters],
    x: torch.Tensor,
    y: torch.Tensor,
    sensitivity: torch.Tensor,
    slope: Sequence[torch.Tensor],
    rate: float,
) -> torch.Tensor:
    """Return ∂R/∂w [d].

    Each step θ ← θ - rate·∇_θ L(θ; X_A) adds -rate·∇_θ∇_X L to ∂θ/∂X_A.

    Args:
        network: The network.
        passed: θ before each of the steps on the adversarial samples.
        x: X_A [n, d], those samples.
        y: [n].
        sensitivity: ∂X_A/∂w [n, d].
        slope: ∂R/∂θ after the steps.
        rate: Of the steps.
    """
    moves = torch.zeros_like(x)
    for parameters in passed:
        moves -= rate * mixed_derivative(network, parameters, x, y, slope)
    return (moves * sensitivity).sum(dim=0)
