"""Our own format: ``best.pt`` of a folder that ``encoders pretrain`` wrote."""

from pathlib import Path
from typing import Any

from matlake.errors import EncoderError
from matlake.export.architectures import ARCHITECTURES
from matlake.export.checkpoints.loaded import LoadedNetwork, Stated
from matlake.export.checkpoints.weights import Weights, fold_scaling
from matlake.materials.units import unit_of


def recognise(content: Any) -> str | None:
    """Return the architecture of the network in a file of this format, None for another format."""
    if not isinstance(content, dict) or not {"network", "identity"} <= content.keys():
        return None
    identity = content["identity"]
    return str(identity.get("architecture", "network without a name")) if isinstance(identity, dict) else None


def load(content: Any, path: Path, stated: Stated) -> LoadedNetwork:
    """Return the network with its target scaling folded in.

    Raises:
        EncoderError: The identity is incomplete, or does not fit the weights or what the caller stated.
    """
    identity = content["identity"]
    architecture = identity["architecture"]
    try:
        sizes, targets = dict(identity["sizes"]), [str(name) for name in identity["targets"]]
        found_cutoff, found_cap = float(identity["graph"]["cutoff_A"]), int(identity["graph"]["max_neighbours"])
        keep_images = bool(identity["graph"].get("keep_images", True))
        mean, std = content["target_mean"], content["target_std"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EncoderError(f"{path} does not say what network it holds: {error!r}", "train it again") from error
    network = Weights.of(content["network"], path).fill(architecture, sizes)
    fold_scaling(network, mean, std, path)
    if stated.keep_images is not None and stated.keep_images != keep_images:
        raise EncoderError(f"{path} was trained with keep_images {keep_images}", "leave the option out")
    recipe = ARCHITECTURES[architecture].recipe(
        network,
        stated.settle_cutoff(path, found_cutoff),
        stated.settle_neighbours(path, found_cap),
        keep_images=keep_images,
    )
    return LoadedNetwork(
        network=network,
        architecture=architecture,
        recipe=recipe,
        sizes=sizes,
        target={"name": ", ".join(targets), "unit": ", ".join(unit_of(name) for name in targets)},
        origin="matlake",
        notes=(),
        licence=None,
        citation=(),
    )
