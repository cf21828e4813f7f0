"""Graph networks with random weights in float64, to compare graphs by what a network makes of them."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn


def randomised(network: nn.Module) -> nn.Module:
    """Make no weight zero and no normalisation trivial, as if the network were trained."""
    random = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm1d):
                for values in (module.running_mean, module.weight, module.bias):
                    values.add_(0.3 * torch.randn(values.shape, generator=random))
                module.running_var.uniform_(0.5, 2.0, generator=random)
        for parameter in network.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.3, generator=random)
    return network.double().eval()


@torch.no_grad()
def outputs(network: nn.Module, batch: Callable[..., Any], graphs: Any) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = network(batch(graphs, dtype=torch.float64))
    return found


def worst_difference(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> float:
    """Return the largest difference in any layer, relative to the layer's largest value."""
    assert one.keys() == other.keys()
    worst = 0.0
    for name, values in one.items():
        assert values.isfinite().all()
        assert values.abs().max() > 0.01
        worst = max(worst, float((values - other[name]).abs().max() / values.abs().max()))
    return worst
