"""Checkpoints of the Open Catalyst code: SchNet and DimeNet++ with their configuration beside the weights.

Its DimeNet++ left out the angles between different images of one atom until September 2021 (pull request 270 of
FAIR-Chem/fairchem), as PyTorch Geometric does; the published networks are older. The configuration of a checkpoint says
when its training began.
"""

import re
from pathlib import Path
from typing import Any, Final

from matlake.encoders.card import Target
from matlake.encoders.training_record import TrainingRecord
from matlake.errors import EncoderError
from matlake.export.checkpoints.layouts import PARALLEL, Built, architecture_of, build_network
from matlake.export.checkpoints.loaded import Stated, Trained, known_elements
from matlake.export.checkpoints.pyg import IMAGES_DROPPED
from matlake.export.checkpoints.weights import Weights, fold_scaling, is_state_dict
from matlake.networks.architectures import ARCHITECTURES

_NEIGHBOURS: Final = 50  # fixed in the code of both networks
_IMAGES_SINCE: Final = "2021-09-14"
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_ENERGIES: Final = frozenset({"relaxed energy", "potential energy"})
_PAPER: Final = "L. Chanussot et al., ACS Catal. 11, 6059 (2021), doi:10.1021/acscatal.0c04525 (Open Catalyst 2020)"
_SLABS: Final = "trained on adsorbates on surfaces, not on bulk crystals; all three directions are periodic here"


def recognise(content: Any) -> str | None:
    """Return the architecture of the network in a file of this format, None for another format."""
    if not isinstance(content, dict) or not is_state_dict(content.get("state_dict")):
        return None
    if not isinstance(content.get("config"), dict) and not isinstance(content.get("normalizers"), dict):
        return None
    return architecture_of(content["state_dict"])


def load(content: Any, path: Path, stated: Stated) -> Trained:
    """Return the network with the scaling of its energy folded in, as far as a mean over atoms can hold it.

    Raises:
        EncoderError: Tensors are missing or unknown, or what the file lacks is not stated.
    """
    config = _mapping(content.get("config"))
    settings = _mapping(config.get("model_attributes")) or _mapping(config.get("model"))
    weights = Weights.of(content["state_dict"], path).stripped(PARALLEL)
    architecture = architecture_of(weights.tensors) or ""
    built = build_network(
        architecture,
        weights,
        stated,
        _number(settings.get("cutoff"), "cutoff", path),
        _whole(settings.get("envelope_exponent"), "envelope_exponent", path),
    )
    cap = _whole(settings.get("max_neighbors"), "max_neighbors", path)
    neighbours = stated.settle_neighbours(path, _NEIGHBOURS if cap is None and settings else cap)
    keep_images = True
    notes = [_SLABS, *built.notes]
    if architecture == "dimenet++":
        since = _trained_on(config) >= _IMAGES_SINCE
        keep_images = since if stated.keep_images is None else stated.keep_images
        notes += [] if keep_images else [IMAGES_DROPPED]
    scaling = _mapping(content.get("normalizers")).get("target")
    notes.append(_fold(built, scaling, path, summed=settings.get("readout", "add") != "mean"))
    labels = _mapping(config.get("task")).get("labels")
    label = str(labels[0]) if isinstance(labels, list) and labels else "energy"
    return Trained(
        architecture=ARCHITECTURES[architecture],
        network=built.network,
        recipe=ARCHITECTURES[architecture].recipe(built.network, built.cutoff, neighbours, keep_images=keep_images),
        elements=known_elements(built.network),
        target=Target(f"{label} per atom", "eV/atom" if label in _ENERGIES else ""),
        training=TrainingRecord(origin="Open Catalyst checkpoint", sizes=built.sizes, notes=tuple(notes)),
        citation=(_PAPER,),
    )


def _fold(built: Built, scaling: Any, path: Path, *, summed: bool) -> str:
    """Fold the scaling into the network; return the note that says what the prediction is."""
    mean, std = 0.0, 1.0
    if scaling is not None:
        try:
            mean, std = float(scaling["mean"]), float(scaling["std"])
        except (TypeError, KeyError, ValueError, RuntimeError) as error:
            raise EncoderError(f"{path}: normalizers.target has no mean and std of one number each") from error
    targets = built.sizes["targets"]
    fold_scaling(built.network, targets, [0.0 if summed else mean] * targets, [std] * targets, path)
    if not summed:
        return "the prediction is that of the published code"
    return (
        f"the published code predicts {mean:g} plus the sum of the contributions of the atoms;"
        " the prediction here is the mean of these contributions"
    )


def _trained_on(config: dict[str, Any]) -> str:
    """Return the date on which training began, as ``2021-03-31``; ``""`` where it is not stated."""
    command = _mapping(config.get("cmd"))
    found = _DATE.match(str(command.get("timestamp_id") or command.get("timestamp") or ""))
    return found.group() if found else ""


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any, name: str, path: Path) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise EncoderError(f"{path}: {name} = {value!r} in its configuration is not a number")
    return float(value)


def _whole(value: Any, name: str, path: Path) -> int | None:
    number = _number(value, name, path)
    if number is not None and (not number.is_integer() or number < 0):
        raise EncoderError(f"{path}: {name} = {value!r} in its configuration is not a valid count")
    return None if number is None else int(number)
