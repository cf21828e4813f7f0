"""Networks as users of torch write them, trained on a few crystals and exported by ``torch.onnx.export`` alone."""

import contextlib
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from matlake.encoders.graph_inputs import graph_inputs
from matlake.materials.crystal import CrystalColumns
from matlake.materials.graph_recipe import GraphRecipe

PAGE = (Path(__file__).parents[1] / "docs" / "science" / "encoders.md").read_text()
NETWORK, EXPORT, CARD = re.findall(
    r"```(?:python|json)\n(.*?)```", PAGE.partition("### I have a network in torch")[2], re.DOTALL
)
"""What the page for users shows: a network of pairs, its export, and its card."""

RECIPE = GraphRecipe("pairs", 5.0, 12, 2)
INPUTS = ("numbers", "lengths", "neighbours", "length_index", "counts", "pool")


def tensors(crystals: CrystalColumns) -> tuple[torch.Tensor, ...]:
    arrays = graph_inputs(RECIPE.build(crystals), RECIPE)
    return tuple(torch.from_numpy(arrays[name]) for name in INPUTS)


def export_pairs(crystals: CrystalColumns, target: np.ndarray, folder: Path) -> nn.Module:
    """Make the network of the page, train it on crystals in one batch, and write ``mine.onnx`` and ``mine.json``."""
    torch.manual_seed(0)
    names: dict[str, Any] = {}
    exec(NETWORK, names)  # noqa: S102 - our own page
    network: nn.Module = names["network"]
    optimiser, inputs = torch.optim.Adam(network.parameters(), 0.02), tensors(crystals)
    wanted = torch.from_numpy((target - target.mean()) / target.std()).float()[:, None]
    errors = []
    for _ in range(20):
        optimiser.zero_grad()
        error = functional.mse_loss(network(*inputs)[1], wanted)
        error.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        errors.append(error.item())
    assert errors[-1] < 0.7 * errors[0]
    with contextlib.chdir(folder), quiet_exporter():
        exec(EXPORT, names)  # noqa: S102
    (folder / "mine.json").write_text(CARD)
    return network


def export_compositions(path: Path) -> None:
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(86, 12), nn.ReLU(), nn.Linear(12, 12), nn.Tanh())
    with quiet_exporter():
        torch.onnx.export(
            network.eval(),
            (torch.rand(3, 86),),
            path,
            dynamo=True,
            opset_version=20,
            external_data=False,
            input_names=["fractions"],
            output_names=["hidden"],
            dynamic_shapes=({0: "batch"},),
        )


@contextlib.contextmanager
def quiet_exporter() -> Any:
    """Let the exporter warn of its own code."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
