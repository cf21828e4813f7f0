"""Networks from state dicts in the names of PyTorch Geometric, which Open Catalyst and CDVAE kept."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import torch

from matlake.errors import EncoderError
from matlake.export.checkpoints.loaded import GraphNetwork, Sizes, Stated
from matlake.export.checkpoints.weights import Weights

PARALLEL: Final = "module."
"""What torch's parallel wrappers put before all names, once each."""

_MARKS: Final = (
    ("CGCNN of Open Catalyst", "embedding_fc."),
    ("schnet", "interactions."),
    ("DimeNet without ++", "interaction_blocks.0.W"),
    ("dimenet++", "interaction_blocks."),
)

_PUBLISHED_EXPONENT: Final = 5


def architecture_of(names: Iterable[str]) -> str | None:
    """Return the architecture that the names of a state dict belong to, None for one that is not known."""
    known = [str(name).replace(PARALLEL, "") for name in names]
    for architecture, mark in _MARKS:
        if any(name.startswith(mark) for name in known):
            return architecture
    return None


@dataclass(frozen=True)
class Built:
    """A network from a state dict.

    Attributes:
        network: In evaluation mode, its target scaling not folded in.
        sizes: The arguments that it was built with.
        cutoff: In Å.
        notes: Remarks for the card.
    """

    network: GraphNetwork
    sizes: Sizes
    cutoff: float
    notes: tuple[str, ...] = ()


def build_network(
    architecture: str, weights: Weights, stated: Stated, cutoff: float | None = None, exponent: int | None = None
) -> Built:
    """Build a SchNet or a DimeNet++ from weights without prefixes; its sizes are those of the tensors.

    A cutoff in Å and an exponent of the envelope are what the file of a DimeNet++ states beside the weights.

    Raises:
        EncoderError: Tensors are missing or unknown, or the cutoff is neither in the file nor stated.
    """
    if architecture == "schnet":
        return _schnet(weights, stated)
    return _dimenet(weights, stated, cutoff, exponent)


def _schnet(weights: Weights, stated: Stated) -> Built:
    path, notes = weights.path, []
    # the filter network stands under two names
    copies = {name: name.replace(".conv.nn.", ".mlp.") for name in weights.tensors if ".conv.nn." in name}
    for copy, name in copies.items():
        if name in weights.tensors and not torch.equal(weights.tensors[copy], weights.tensors[name]):
            raise EncoderError(f"{path}: {copy} and {name} differ, but are the same weights in the network")
    if "atomref.weight" in weights.tensors:
        notes.append(
            "the published network adds a reference value for each element (atomref), which the prediction here lacks"
        )
    # the masses are a constant that versions of PyTorch Geometric keep with every network
    weights = weights.without([*copies, "atomref.weight", "initial_atomref", "atomic_mass"])
    (gaussians,) = weights.shape("distance_expansion.offset", 1)
    offsets = weights.tensors["distance_expansion.offset"].double()
    cutoff = stated.settle_cutoff(path, round(float(offsets[-1]), 5))
    if not torch.allclose(offsets, torch.linspace(0, cutoff, gaussians, dtype=torch.float64), atol=1e-4):
        raise EncoderError(f"{path}: the Gaussians of distance_expansion.offset do not stand evenly from 0 on")
    sizes = {
        "hidden_channels": weights.shape("embedding.weight", 2)[1],
        "num_filters": weights.shape("interactions.0.mlp.0.weight", 2)[0],
        "num_interactions": weights.count("interactions"),
        "num_gaussians": gaussians,
        "cutoff": cutoff,
        "targets": weights.shape("lin2.weight", 2)[0],
    }
    return Built(weights.fill("schnet", sizes), sizes, cutoff, tuple(notes))


def _dimenet(weights: Weights, stated: Stated, cutoff: float | None, exponent: int | None) -> Built:
    notes = []
    if exponent is None:
        exponent = _PUBLISHED_EXPONENT
        notes.append(f"the file does not say the exponent of the envelope: {exponent}, as in all published networks")
    settled = stated.settle_cutoff(weights.path, cutoff)
    (radials,) = weights.shape("rbf.freq", 1)
    block, output = "interaction_blocks.0", "output_blocks.0"
    basis, functions = weights.shape(f"{block}.lin_sbf1.weight", 2)
    sizes: Sizes = {
        "hidden_channels": weights.shape("emb.emb.weight", 2)[1],
        "num_blocks": weights.count("interaction_blocks"),
        "int_emb_size": weights.shape(f"{block}.lin_sbf2.weight", 2)[0],
        "basis_emb_size": basis,
        "out_emb_channels": weights.shape(f"{output}.lin_up.weight", 2)[0],
        "num_spherical": functions // radials,
        "num_radial": radials,
        "cutoff": settled,
        "envelope_exponent": exponent,
        "num_before_skip": weights.count(f"{block}.layers_before_skip"),
        "num_after_skip": weights.count(f"{block}.layers_after_skip"),
        "num_output_layers": weights.count(f"{output}.lins"),
        "lin_up_bias": f"{output}.lin_up.bias" in weights.tensors,
        "targets": weights.shape(f"{output}.lin.weight", 2)[0],
    }
    return Built(weights.fill("dimenet++", sizes), sizes, settled, tuple(notes))
