"""The inner ascent: rows are moved to where the loss is larger, at a price for each feature. Imported only to train."""

from dataclasses import dataclass

import torch

from matlake.regress.regressors.ir_net_torch import TorchNetwork

_BETA = 0.9
"""Of both moving means of the ascent's Adam."""

_EPSILON = 1e-8


@dataclass(frozen=True)
class Attacked:
    """Rows after an attack.

    Attributes:
        x: [n, d], where they are now.
        sensitivity: ∂x/∂w [n, d], to first order, of each feature to its own weight.
        losses: Mean loss before the first step and after each.
    """

    x: torch.Tensor
    sensitivity: torch.Tensor
    losses: tuple[float, ...]


def attack(
    network: TorchNetwork,
    x: torch.Tensor,
    y: torch.Tensor,
    weights: torch.Tensor,
    rate: float,
    steps: int,
    start: torch.Tensor | None = None,
) -> Attacked:
    """Move rows up the slope of loss - gamma·Σ w (x_A - x)², with gamma = 1/min(w), by steps of Adam.

    Source: Liu et al., AAAI 2021 (Stable Adversarial Learning), algorithm 1; steps of Adam as in Li, Miklaucic and Hu,
    arXiv 2408.09297. A weight acts on a step through the price of what the row has moved by before it:
    ∂x_A/∂w ≈ -2·gamma·Σ_t rate_t·(x_t - x), with Adam's rate for that feature and step.

    Args:
        network: Evaluated without dropout.
        x: [n, d], standardised features.
        y: [n], standardised target.
        weights: [d], positive.
        rate: Size of a step.
        steps: Number of steps.
        start: [n, d], where the ascent begins; by default at the rows themselves.
    """
    network.eval()
    gamma = 1.0 / float(weights.min())
    moved = (x if start is None else start).detach().clone()
    mean, square, sensitivity = torch.zeros_like(x), torch.zeros_like(x), torch.zeros_like(x)
    mean_losses: list[float] = []
    for step in range(1, steps + 1):
        moved.requires_grad_()
        losses = torch.nn.functional.smooth_l1_loss(network(moved), y, reduction="none")
        mean_losses.append(float(losses.detach().mean()))
        # summed over rows: each row moves on its own, whatever the batch
        aim = losses.sum() - gamma * ((moved - x) ** 2 @ weights).sum()
        (slope,) = torch.autograd.grad(aim, moved)
        slope = torch.nan_to_num(slope, nan=0.0, posinf=0.0, neginf=0.0)
        moved = moved.detach()
        mean = _BETA * mean + (1.0 - _BETA) * slope
        square = _BETA * square + (1.0 - _BETA) * slope * slope
        known = 1.0 - _BETA**step
        rates = rate / (torch.sqrt(square / known) + _EPSILON)
        sensitivity -= 2.0 * gamma * rates * (moved - x)
        moved = moved + rates * mean / known
    with torch.no_grad():
        mean_losses.append(float(torch.nn.functional.smooth_l1_loss(network(moved), y)))
    return Attacked(moved, sensitivity, tuple(mean_losses))
