"""The format of the original CGCNN: ``*.pth.tar`` with a state dict, the scaling of the target, and the arguments.

What is known of the eight networks that were published with the paper stands here, found by their weights: the file
names neither the neighbour cap nor the unit.
"""

from pathlib import Path
from typing import Any, Final

import torch

from matlake.encoders.card import Target
from matlake.encoders.training_record import TrainingRecord
from matlake.errors import EncoderError
from matlake.export.checkpoints.loaded import Stated, Trained, known_elements
from matlake.export.checkpoints.weights import Weights, fold_scaling, is_state_dict
from matlake.export.pretraining.sources import DATABASES
from matlake.networks.architectures import ARCHITECTURES
from matlake.networks.cgcnn import GAUSSIAN_STEP_A

_CLASSES: Final = 2
_ATOM_FEATURES: Final = 92


_NEIGHBOURS: Final = 12  # the default of the published code, which trained them
_PUBLISHED: Final = {
    "2001302b35cbcf20": Target("formation energy", "eV/atom"),
    "f922cd3dcd79c590": Target("total energy", "eV/atom"),
    "c7f46b459d9d5614": Target("band gap", "eV"),
    "dc814c744af72ac5": Target("Fermi energy", "eV"),
    "c28fea35c1ea6761": Target("bulk modulus", "log10(GPa)"),
    "81bcb5397b52e73d": Target("shear modulus", "log10(GPa)"),
    "aab3a0ef6268729f": Target("Poisson ratio", ""),
    "d84c5d735caa3973": Target("metal", "log-odds"),
}
"""By the fingerprint of the weights."""

_CUT_SHELLS: Final = (
    "the original keeps exactly the nearest neighbours, and where the last ones are equally far it keeps those that"
    " come first in the file; here such neighbours share the places left, so that the order of atoms does not matter"
)
_FEW_NEIGHBOURS: Final = (
    "an atom with fewer neighbours than that within the cutoff gets copies of the first atom, 1 Å beyond the cutoff, in"
    " the original, and nothing here (7 of 23,122 crystals of the Materials Project have such atoms)"
)
_LOG_ODDS: Final = (
    "a classifier: the prediction is the log-odds of class 1 against class 0, the difference of the two outputs of the"
    " published network before its softmax; 1 / (1 + exp(-x)) is the probability of class 1"
)


def recognise(content: Any) -> str | None:
    """Return the architecture of the network in a file of this format, None for another format."""
    if not isinstance(content, dict) or not is_state_dict(content.get("state_dict")):
        return None
    marks = {"embedding.weight", "conv_to_fc.weight", "fc_out.weight"}
    return "cgcnn" if marks <= content["state_dict"].keys() else None


def load(content: Any, path: Path, stated: Stated) -> Trained:
    """Return the network with its target scaling folded in; for a classifier, one that predicts the log-odds.

    Raises:
        EncoderError: Keys are missing or unknown, or the neighbour cap is neither known nor stated.
    """
    weights = Weights.of(content["state_dict"], path)
    published = _PUBLISHED.get(weights.fingerprint())
    classes, hidden = weights.shape("fc_out.weight", 2)
    if classes == _CLASSES:
        weights = _as_log_odds(weights)
    elif classes != 1:
        raise EncoderError(f"{path} is a classifier of {classes} classes: only one of two classes predicts one number")
    width, features = weights.shape("embedding.weight", 2)
    if features != _ATOM_FEATURES:
        raise EncoderError(
            f"{path} was trained with {features} features of an atom, not the {_ATOM_FEATURES} of the published table",
            "such a network cannot be exported without its table",
        )
    gaussians = weights.shape("convs.0.fc_full.weight", 2)[1] - 2 * width
    convolutions = weights.count("convs")
    cutoff = stated.settle_cutoff(path, round((gaussians - 1) * GAUSSIAN_STEP_A, 6))
    neighbours = stated.settle_neighbours(path, _NEIGHBOURS if published else None)
    sizes = {
        "atom_width": width,
        "convolutions": convolutions,
        "hidden_width": hidden,
        "hidden_layers": 1 + weights.count("fcs"),
        "cutoff": cutoff,
    }
    # files from before torch 0.4.1 lack these counters, which nothing reads in evaluation mode
    counters = {
        f"convs.{i}.{name}.num_batches_tracked": torch.tensor(0) for i in range(convolutions) for name in ("bn1", "bn2")
    }
    network = weights.with_defaults(counters).fill("cgcnn", sizes)
    if classes == 1:
        scaling = content.get("normalizer")
        if not isinstance(scaling, dict) or not {"mean", "std"} <= scaling.keys():
            raise EncoderError(f"{path} lacks normalizer with mean and std, the scaling of its target")
        fold_scaling(network, 1, scaling["mean"], scaling["std"], path)
    notes = (_CUT_SHELLS, _FEW_NEIGHBOURS, *((_LOG_ODDS,) if classes == _CLASSES else ()))
    architecture = ARCHITECTURES["cgcnn"]
    return Trained(
        architecture=architecture,
        network=network,
        recipe=architecture.recipe(network, cutoff, neighbours),
        elements=known_elements(network),
        target=published,
        training=TrainingRecord(origin="original CGCNN code", sizes=sizes, notes=notes),
        licence="MIT" if published else None,
        citation=DATABASES["mp"].citation if published else (),
    )


def _as_log_odds(weights: Weights) -> Weights:
    """Turn the outputs for two classes into their difference: log p1 - log p0 is what a softmax makes of it."""
    differences = {
        name: weights.tensors[name][1:] - weights.tensors[name][:1]
        for name in ("fc_out.weight", "fc_out.bias")
        if name in weights.tensors
    }
    return weights.without(differences).with_defaults(differences)
