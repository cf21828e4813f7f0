"""Batch normalisation of a network whose weights are to be trained on other data than they come from."""

from contextlib import ExitStack
from functools import partial
from typing import Any, cast

import torch
from torch import nn

from matlake.networks.examples import Examples


@torch.no_grad()
def settle_normalisation(network: nn.Module, examples: Examples) -> None:
    """Give every batch normalisation the statistics of some rows, without changing what the network computes.

    In evaluation mode a normalisation is an affine map, a·x + b; with mean m and variance v of its inputs over the rows
    it is written as a·√(v + ε)·(x - m)/√(v + ε) + (b + a·m). Training, which normalises by the batch, then starts from
    nearly the same function. With the statistics of other data, or with none because they were folded into weights, it
    would start from another one. The network is left in evaluation mode.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm1d)]
    if not norms:
        return
    network.eval()
    sums = {norm: torch.zeros(3, norm.num_features, dtype=torch.float64) for norm in norms}
    with ExitStack() as hooks:
        for norm in norms:
            hooks.callback(norm.register_forward_pre_hook(partial(_add_moments, sums)).remove)
        for rows in examples.chunks():
            network.predict(examples.inputs(rows, "cpu"))  # type: ignore[operator]
    for norm, (count, total, squares) in sums.items():
        mean = total / count
        _rewrite(norm, mean, (squares / count - mean**2).clamp_min(0.0))


def affine(norm: nn.BatchNorm1d) -> tuple[torch.Tensor, torch.Tensor]:
    """Return a and b, in float64, of the map a·x + b that a normalisation is in evaluation mode."""
    mean, variance = cast("torch.Tensor", norm.running_mean), cast("torch.Tensor", norm.running_var)
    scale = norm.weight.double() / torch.sqrt(variance.double() + norm.eps)
    return scale, norm.bias.double() - mean.double() * scale


def _add_moments(sums: dict[nn.BatchNorm1d, torch.Tensor], norm: nn.BatchNorm1d, arguments: tuple[Any, ...]) -> None:
    """Add the number of rows that enter a normalisation, their sum and the sum of their squares."""
    values = arguments[0].double()
    sums[norm] += torch.stack([torch.full_like(values[0], len(values)), values.sum(dim=0), (values**2).sum(dim=0)])


def _rewrite(norm: nn.BatchNorm1d, mean: torch.Tensor, variance: torch.Tensor) -> None:
    scale, shift = affine(norm)
    norm.weight.copy_(scale * torch.sqrt(variance + norm.eps))
    norm.bias.copy_(shift + scale * mean)
    cast("torch.Tensor", norm.running_mean).copy_(mean)
    cast("torch.Tensor", norm.running_var).copy_(variance)
