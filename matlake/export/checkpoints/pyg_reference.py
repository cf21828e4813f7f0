"""PyTorch Geometric's own SchNet and DimeNet++, which networks read from its checkpoints are held against.

Its layers run on messages that are given one by one, with all pairs of messages written out: its own search for
neighbours and pairs needs compiled extensions, and knows molecules only.
"""

import copy
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from matlake.errors import EncoderError
from matlake.export.checkpoints.layouts import Built
from matlake.extras import require_extra
from matlake.materials.crystal import Crystal
from matlake.materials.graph_recipe import GraphRecipe
from matlake.materials.neighbours import neighbour_list
from matlake.networks.architectures import ARCHITECTURES
from matlake.networks.writing import sample_crystals

_TOLERANCE: Final = 1e-5
"""Of a prediction in float64, relative: couplings of a graph are float32."""

_SAME_PLACE_A: Final = 1e-6


@dataclass(frozen=True)
class Messages:
    """Messages from sources to targets; a vector leads from the target to the source, in Å."""

    numbers: Sequence[int]
    source: NDArray[np.int64]
    target: NDArray[np.int64]
    vectors: NDArray[np.float64]


def messages_of(crystal: Crystal, cutoff: float) -> Messages:
    """Return the messages between all atoms of a crystal within a cutoff in Å."""
    found = neighbour_list(crystal, cutoff)
    target = np.repeat(np.arange(len(crystal.numbers)), np.diff(found.first))
    source = found.neighbours.astype(np.int64)
    fractional = crystal.positions[source] + found.shifts - crystal.positions[target]
    return Messages(crystal.numbers.tolist(), source, target, fractional @ crystal.lattice)


def check_against_pyg(built: Built, recipe: GraphRecipe, tensors: Mapping[str, torch.Tensor], path: Path) -> None:
    """Compare a network with PyTorch Geometric's on crystals, with the weights it was built from and all neighbours.

    Raises:
        EncoderError: Their predictions differ.
        MissingExtraError: PyTorch Geometric is not installed.
    """
    require_extra("train", "reading a checkpoint of PyTorch Geometric", "torch_geometric")
    crystals = sample_crystals()
    (architecture,) = (one for one in ARCHITECTURES.values() if one.network is type(built.network))
    everything = replace(recipe, max_neighbours=0)
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings(action="ignore"):
        theirs = _their_network(built, recipe).double()
        theirs.load_state_dict(dict(tensors), strict=False)
    with torch.no_grad():
        batch = architecture.batch(everything.build(crystals, resolution=0.0), torch.float64)
        found = copy.deepcopy(built.network).double().predict(batch)
        rows = range(len(crystals))
        expected = torch.stack([_their_prediction(theirs.eval(), crystals[row], recipe) for row in rows])
    difference = float((found - expected).abs().max() / expected.abs().max())
    if not difference <= _TOLERANCE:
        raise EncoderError(
            f"{path}: the network read from it differs by {difference:.1e} from PyTorch Geometric's own",
            "report it, with the version of PyTorch Geometric that trained the network",
        )


def _their_network(built: Built, recipe: GraphRecipe) -> Any:
    from torch_geometric.nn.models import SchNet

    sizes = dict(built.sizes)
    targets = sizes.pop("targets")
    if recipe.kind == "pairs":
        # its forward asks for edges where it has positions: here they are handed in instead
        schnet = SchNet(**sizes, readout="mean", interaction_graph=lambda edges, _: edges)
        schnet.lin2 = torch.nn.Linear(schnet.lin2.in_features, targets)
        return schnet
    has_bias = sizes.pop("lin_up_bias")
    dimenet = copy.deepcopy(_their_dimenet(**sizes, out_channels=targets))
    for block in dimenet.output_blocks if has_bias else ():
        block.lin_up = torch.nn.Linear(block.lin_up.in_features, block.lin_up.out_features)
    return dimenet


@cache  # the basis is derived with sympy, which takes seconds
def _their_dimenet(**sizes: Any) -> Any:
    from torch_geometric.nn.models import DimeNetPlusPlus

    return DimeNetPlusPlus(**sizes)


def _their_prediction(model: Any, crystal: Crystal, recipe: GraphRecipe) -> torch.Tensor:
    """Return the mean contribution of the atoms, [targets]."""
    given = messages_of(crystal, recipe.cutoff_A)
    if recipe.kind == "pairs":
        edges = torch.from_numpy(np.stack([given.source, given.target]))
        lengths = torch.from_numpy(np.linalg.norm(given.vectors, axis=1))
        prediction: torch.Tensor = model(torch.tensor(given.numbers), (edges, lengths))[0]
        return prediction
    later, earlier = np.nonzero(given.source[:, None] == given.target)
    if recipe.keep_images:
        dropped = np.abs(given.vectors[later] + given.vectors[earlier]).max(axis=1) < _SAME_PLACE_A
    else:
        dropped = given.source[earlier] == given.target[later]
    return atom_contributions(model, given, later[~dropped], earlier[~dropped]).mean(dim=0)


def atom_contributions(
    model: Any, given: Messages, later: NDArray[np.int64], earlier: NDArray[np.int64]
) -> torch.Tensor:
    """Return the atoms' contributions from the layers of PyTorch Geometric's DimeNet++, [atoms, targets].

    Args:
        model: The network.
        given: The messages.
        later: Messages that are updated [pairs].
        earlier: The message that takes part in the update [pairs]: it comes into the atom that the later one leaves.
    """
    after, before = torch.from_numpy(later), torch.from_numpy(earlier)
    vectors = torch.from_numpy(given.vectors).to(model.rbf.freq.dtype)
    along = (vectors[after] * vectors[before]).sum(dim=1)
    across = torch.linalg.cross(vectors[after], vectors[before]).norm(dim=1)
    lengths = vectors.norm(dim=1)
    radial = model.rbf(lengths)
    spherical = model.sbf(lengths, torch.atan2(across, along), before)
    numbers, source, target = (torch.as_tensor(np.asarray(v)) for v in (given.numbers, given.source, given.target))
    x = model.emb(numbers, radial, target, source)
    atoms: torch.Tensor = model.output_blocks[0](x, radial, target, num_nodes=len(numbers))
    for interaction, output in zip(model.interaction_blocks, model.output_blocks[1:], strict=True):
        x = interaction(x, radial, spherical, before, after)
        atoms = atoms + output(x, radial, target, num_nodes=len(numbers))
    return atoms
