"""Batch normalisation of a network whose weights are to be trained on other data than they come from."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import nn

from matlake.networks.examples import Examples


@torch.no_grad()
def settle_normalisation(network: nn.Module, examples: Examples) -> None:
    """Give every batch normalisation the statistics of some rows, without changing what the network computes.

    In evaluation mode a normalisation is an affine map, a·x + b; with mean m and variance v of its inputs over the rows
    it is written as a·√(v + ε)·(x - m)/√(v + ε) + (b + a·m). Training, which normalises by the batch, then starts from
    nearly the same function. With the statistics of other data, or with none because they were folded into weights, it
    would start from another one.

    Args:
        network: In any mode; left in evaluation mode.
        examples: Rows that it will be trained on.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm1d)]
    if not norms:
        return
    network.eval()
    moments = {norm: _Moments(norm.num_features) for norm in norms}
    with ExitStack() as hooks:
        for norm, sums in moments.items():
            hooks.callback(norm.register_forward_pre_hook(partial(_watch, sums)).remove)
        for rows in examples.chunks():
            network.predict(examples.inputs(rows, "cpu"))  # type: ignore[operator]
    for norm, sums in moments.items():
        _rewrite(norm, *sums.statistics())


class _Moments:
    """Sums of the values that pass a layer, and of their squares."""

    def __init__(self, width: int) -> None:
        self.count = 0
        self.total, self.squares = (torch.zeros(width, dtype=torch.float64) for _ in range(2))

    def statistics(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and variance."""
        mean = self.total / self.count
        return mean, (self.squares / self.count - mean**2).clamp_min(0.0)


def _watch(sums: _Moments, module: nn.Module, arguments: tuple[Any, ...]) -> None:  # noqa: ARG001 - a hook's
    values = arguments[0].double()
    sums.count += len(values)
    sums.total += values.sum(dim=0)
    sums.squares += (values**2).sum(dim=0)


def _rewrite(norm: nn.BatchNorm1d, mean: torch.Tensor, variance: torch.Tensor) -> None:
    running_mean, running_var = _buffers(norm)
    scale = norm.weight.double() / torch.sqrt(running_var.double() + norm.eps)
    shift = norm.bias.double() - running_mean.double() * scale
    norm.weight.copy_(scale * torch.sqrt(variance + norm.eps))
    norm.bias.copy_(shift + scale * mean)
    running_mean.copy_(mean)
    running_var.copy_(variance)


def _buffers(norm: nn.BatchNorm1d) -> Iterator[torch.Tensor]:
    for buffer in (norm.running_mean, norm.running_var):
        assert buffer is not None  # noqa: S101 - our networks track both
        yield buffer
