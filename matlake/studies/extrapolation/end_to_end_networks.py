"""Networks by name, and what encoders were trained on by table: what an extrapolation study needs of ``export``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matlake.encoders.layer_ref import LayerRef
from matlake.encoders.registry import RegisteredEncoder
from matlake.encoders.training_contents import TrainingContents
from matlake.errors import EncoderError, TrainingError
from matlake.extras import require_extra
from matlake.networks.architectures import GRAPH_NETWORKS
from matlake.regress.targets.transforms import Transform
from matlake.store.lake import Lake
from matlake.studies.extrapolation.methods import NETWORKS, ExtrapolationRequest, Network


def networks_by_name(lake: Lake, request: ExtrapolationRequest, features: Sequence[str]) -> list[Network]:
    """Return the networks that a request names; without names none, and then torch is not needed.

    An architecture stands for the first encoder of it among the features, or for the only one there is.

    Args:
        lake: Its registry holds the encoders.
        request: Names encoders of crystals, or architectures.
        features: ``NAME`` or ``NAME@LAYER``.

    Raises:
        EncoderError: No such encoder, or an architecture stands for several.
        TrainingError: An unknown start.
        MissingExtraError: The extra ``train`` is not installed, or the device is not there.
    """
    if unknown := [start for start in request.starts if start not in NETWORKS]:
        raise TrainingError(f"networks start from {' or '.join(NETWORKS)}, not {', '.join(unknown)}")
    encoders = {found.card.name: found for found in (_encoder(lake, name, features) for name in request.networks)}
    if not encoders:
        return []
    require_extra("train", "training networks end to end")
    from matlake.studies.extrapolation.end_to_end import end_to_end_networks

    about: dict[str, Any] = {"starts": request.starts, "epochs": request.epochs, "device": request.device}
    target = request.target if request.transform == Transform.NONE else None
    return list(end_to_end_networks(list(encoders.values()), target, **about))


def contents_of_tables(
    lake: Lake, tables: Sequence[str | Path], encoders: Sequence[str]
) -> dict[str, TrainingContents]:
    """Return what encoders were trained on, by their sha256.

    Args:
        lake: The lake.
        tables: Files, or datasets of the lake, that encoders were trained on.
        encoders: Names of the encoders in question.

    Raises:
        SourceError: A table is not there, or none of these encoders was trained on it.
        EncoderError: No such encoder.
    """
    if not tables:
        return {}
    from matlake.export.pretraining.training_contents import read_training_contents
    from matlake.export.pretraining.training_data import TrainingTable

    known = lake.dataset_names()
    read = [
        TrainingTable(str(table), *lake.read_dataset(str(table)))
        if table in known
        else TrainingTable.from_file(Path(table))
        for table in tables
    ]
    return read_training_contents(read, [lake.find_encoder(name).card for name in dict.fromkeys(encoders)])


def _encoder(lake: Lake, name: str, features: Sequence[str]) -> RegisteredEncoder:
    """Return the encoder that a name, or an architecture, means."""
    if name not in GRAPH_NETWORKS:
        return lake.find_encoder(name)
    registered = {one.card.name: one for one in lake.registered_encoders() if one.card.architecture == name}
    used = [one for feature in features if (one := registered.get(LayerRef.parse(feature).encoder))]
    # networks of several targets came later: the name of an architecture keeps its meaning
    single = [one for one in registered.values() if len(one.card.trained_on) == 1]
    found = used[:1] or (single if len(single) == 1 else list(registered.values()))
    if len(found) != 1:
        known = ", ".join(registered) or "none"
        raise EncoderError(f"{name} does not say which encoder's network is meant: there are {known}", "name one")
    return found[0]
