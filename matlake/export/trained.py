"""A trained network and what is known of it, whatever kind of file it comes from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from torch import nn

from matlake.encoders.card import Target
from matlake.encoders.training_record import TrainingRecord
from matlake.errors import TrainingError
from matlake.export.checkpoints.loaded import Stated
from matlake.export.checkpoints.loading import load_published
from matlake.export.pretraining.run import graph_recipe, load_trained
from matlake.export.pretraining.run_record import RUN_FILE, RunRecord, read_run
from matlake.materials.graph_recipe import GraphRecipe
from matlake.materials.periodic_table import ELEMNET_ELEMENTS, SYMBOLS
from matlake.materials.units import unit_of
from matlake.networks.architectures import ARCHITECTURES, Architecture
from matlake.networks.cgcnn import CGCNN
from matlake.networks.checkpoints import BEST_FILE
from matlake.networks.schnet import SchNet


@dataclass(frozen=True)
class Trained:
    """A trained network.

    Attributes:
        architecture: What it is.
        network: In evaluation mode; predicts in the targets' own units.
        recipe: How crystals become its graphs; None for compositions.
        elements: Symbols of the elements it takes: those of the training rows, where these are known.
        target: What it predicts, as on a card.
        training: What a card says about the training.
        licence: Licence of the weights, where the file says it.
        citation: Papers to cite, beyond those of the architecture.
        record: The record of the run, where it is one of our own.
    """

    architecture: Architecture
    network: nn.Module
    recipe: GraphRecipe | None
    elements: tuple[str, ...]
    target: Target | None
    training: TrainingRecord
    licence: str | None = None
    citation: tuple[str, ...] = ()
    record: RunRecord | None = None


def load_any(path: Path, architecture: str, stated: Stated) -> Trained:
    """Load the folder of a run, its ``best.pt``, or a published checkpoint.

    Args:
        path: The file or folder.
        architecture: Key of ``ARCHITECTURES``.
        stated: What a published checkpoint does not say of its graphs.

    Raises:
        EncoderError: A published checkpoint cannot be read, or its graphs are not known.
        TrainingError: The run cannot be read, or is of another architecture.
    """
    weights = path / BEST_FILE if path.is_dir() else path
    if weights.name == BEST_FILE or (weights.parent / RUN_FILE).exists() or architecture == "elemnet":
        return _of_run(weights, architecture)
    published = load_published(weights, architecture, stated)
    return Trained(
        architecture=ARCHITECTURES[architecture],
        network=published.network,
        recipe=published.recipe,
        elements=_in_table(published.network),
        target=Target(**published.target) if published.target else None,
        training=TrainingRecord(origin=published.origin, sizes=published.sizes, notes=tuple(published.notes)),
        licence=published.licence,
        citation=published.citation,
    )


def _of_run(weights: Path, architecture: str) -> Trained:
    network, identity = load_trained(weights)
    made = ARCHITECTURES[identity["architecture"]]
    if made.name != architecture:
        raise TrainingError(f"{weights} holds a network of architecture {made.name}, not {architecture}", "name that")
    record = read_run(weights.parent)
    recipe = graph_recipe(made, network, identity["graph"])
    units = [unit_of(name) for name in identity["targets"]]
    training = TrainingRecord(sizes=identity["sizes"])
    elements: tuple[str, ...] = ELEMNET_ELEMENTS if recipe is None else _in_table(network)
    if record is not None:
        elements = elements if recipe is None else record.elements
        units = [record.unit]
        training = TrainingRecord(
            table=record.account,
            columns=record.recipe,
            sizes=record.sizes,
            settings=record.settings,
            results=record.results,
        )
    target = Target(", ".join(identity["targets"]), ", ".join(filter(None, units)))
    return Trained(made, network, recipe, elements, target, training, record=record)


def _in_table(network: nn.Module) -> tuple[str, ...]:
    """Return the elements that a network has an entry for."""
    if isinstance(network, CGCNN):
        known = network.atom_features.any(dim=1).numpy()
    else:
        table: Any = network.embedding if isinstance(network, SchNet) else cast("Any", network).emb.emb
        known = np.arange(table.num_embeddings) > 0
    return tuple(SYMBOLS[z - 1] for z in np.flatnonzero(known[: len(SYMBOLS) + 1]) if z)
