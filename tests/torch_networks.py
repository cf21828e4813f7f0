"""Networks as users of torch write them, trained on a few crystals and exported by ``torch.onnx.export`` alone."""

import warnings
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from matlake.encoders.graph_inputs import graph_inputs
from matlake.materials.crystal import CrystalColumns
from matlake.materials.graph_recipe import GraphRecipe

WIDTH = 12
RECIPE = GraphRecipe("pairs", 5.0, 12, 2)
PAIR_AXES = {
    "numbers": {0: "atoms"},
    "lengths": {0: "distances"},
    "neighbours": {0: "atoms", 1: "places"},
    "length_index": {0: "atoms", 1: "places"},
    "counts": {0: "atoms", 1: "places"},
    "pool": {0: "crystals", 1: "atoms"},
}


class PairNetwork(nn.Module):
    """Two rounds of messages between atoms; the mean over atoms, and a property from it."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(95, WIDTH)
        self.filters = nn.ModuleList(nn.Linear(8, WIDTH) for _ in range(2))
        self.updates = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(2))
        self.out = nn.Linear(WIDTH, 1)
        self.register_buffer("centres", torch.linspace(0.5, 5.0, 8))

    def forward(
        self,
        numbers: torch.Tensor,
        lengths: torch.Tensor,
        neighbours: torch.Tensor,
        length_index: torch.Tensor,
        counts: torch.Tensor,
        pool: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        basis = torch.exp(-2.0 * (lengths[:, None] - self.centres) ** 2)
        atoms = self.embedding(numbers)
        for weigh, update in zip(self.filters, self.updates, strict=True):
            weights = functional.embedding(length_index, weigh(basis)) * counts[:, :, None]
            messages = (functional.embedding(neighbours, atoms) * weights).sum(dim=1)
            atoms = atoms + torch.tanh(update(messages))
        pooled = pool @ atoms
        return pooled, self.out(pooled)


def trained(crystals: CrystalColumns, target: np.ndarray, steps: int = 20) -> PairNetwork:
    """Train a network on some crystals in one batch."""
    torch.manual_seed(0)
    network = PairNetwork()
    inputs = tensors(crystals)
    optimiser = torch.optim.Adam(network.parameters(), 0.02)
    wanted = torch.from_numpy((target - target.mean()) / target.std()).float()[:, None]
    errors = []
    for _ in range(steps):
        optimiser.zero_grad()
        error = functional.mse_loss(network(*inputs)[1], wanted)
        error.backward()
        optimiser.step()
        errors.append(error.item())
    assert errors[-1] < 0.7 * errors[0]
    return network.eval()


def tensors(crystals: CrystalColumns) -> tuple[torch.Tensor, ...]:
    arrays = graph_inputs(RECIPE.build(crystals), RECIPE)
    return tuple(torch.from_numpy(arrays[name]) for name in PAIR_AXES)


def export_pairs(network: nn.Module, crystals: CrystalColumns, path: Path) -> None:
    export(network, tensors(crystals), path, PAIR_AXES, ["pooled", "prediction"])


def export_compositions(path: Path) -> None:
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(86, WIDTH), nn.ReLU(), nn.Linear(WIDTH, WIDTH), nn.Tanh())
    export(network.eval(), (torch.rand(3, 86),), path, {"fractions": {0: "batch"}}, ["hidden"])


def export(
    network: nn.Module,
    example: tuple[torch.Tensor, ...],
    path: Path,
    axes: dict[str, dict[int, str]],
    outputs: list[str],
) -> None:
    with warnings.catch_warnings():  # of the exporter, on its own code
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            example,
            path,
            dynamo=True,
            opset_version=20,
            external_data=False,
            input_names=list(axes),
            output_names=outputs,
            dynamic_shapes=tuple(axes.values()),
        )
