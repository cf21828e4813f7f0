"""Bare state dicts of PyTorch Geometric's SchNet and DimeNet++."""

from pathlib import Path
from typing import Any, Final

from matlake.encoders.training_record import TrainingRecord
from matlake.export.checkpoints.layouts import PARALLEL, architecture_of, build_network
from matlake.export.checkpoints.loaded import Stated, Trained, known_elements
from matlake.export.checkpoints.pyg_reference import check_against_pyg
from matlake.export.checkpoints.weights import Weights, is_state_dict
from matlake.networks.architectures import ARCHITECTURES

SUMMED: Final = (
    "the published code sums the contributions of the atoms unless asked to average them; the prediction here is their"
    " mean: multiply it by the number of atoms for the sum"
)
IMAGES_DROPPED: Final = (
    "trained without the angles between different images of one atom, so the graphs leave them out (keep_images false)"
)
_UNSCALED: Final = (
    "a state dict does not say by what mean and standard deviation the target was scaled: the prediction is in the unit"
    " that the network was trained in"
)
_ANY_NEIGHBOURS: Final = (
    "where an atom has more neighbours than the cap, PyTorch Geometric keeps any of them; here the nearest are kept"
)


def recognise(content: Any) -> str | None:
    """Return the architecture of the network in a file of this format, None for another format."""
    state = _state(content)
    return None if state is None else architecture_of(state)


def load(content: Any, path: Path, stated: Stated) -> Trained:
    """Return the network as it is: nothing in the file describes its target.

    Raises:
        EncoderError: Tensors are missing or unknown, what the file lacks is not stated, or the network is not the
            function that PyTorch Geometric's own is.
        MissingExtraError: PyTorch Geometric is not installed.
    """
    weights = Weights.of(_state(content), path).stripped(PARALLEL)
    architecture = architecture_of(weights.tensors) or ""
    built = build_network(architecture, weights, stated)
    neighbours = stated.settle_neighbours(path, None)
    keep_images = architecture != "dimenet++" or bool(stated.keep_images)
    recipe = ARCHITECTURES[architecture].recipe(built.network, built.cutoff, neighbours, keep_images=keep_images)
    check_against_pyg(built, recipe, weights.tensors, path)
    notes = [SUMMED, _UNSCALED, *built.notes]
    notes += [_ANY_NEIGHBOURS] if neighbours else []
    notes += [] if keep_images else [IMAGES_DROPPED]
    training = TrainingRecord(origin="PyTorch Geometric state dict", sizes=built.sizes, notes=tuple(notes))
    elements = known_elements(built.network)
    return Trained(ARCHITECTURES[architecture], built.network, recipe, elements, target=None, training=training)


def _state(content: Any) -> Any:
    if not isinstance(content, dict):
        return None
    for value in (content, content.get("state_dict"), content.get("model_state_dict")):
        if is_state_dict(value):
            return value
    return None
