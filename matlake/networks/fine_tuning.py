"""The fine-tuning of a crystal network on one property: from an encoder to another one. Needs torch.

Nothing is chosen by the rows that are held out: the training ends with its cycle, and its averaged weights are taken.
So errors on these rows are those on new materials.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from matlake.encoders.base import Encoder
from matlake.encoders.card import PREDICTION, EncoderCard, Layer, Precision
from matlake.encoders.registry import RegisteredEncoder, encoder_files, licence_files
from matlake.encoders.training_record import TrainingScope
from matlake.encoders.writing import write_encoder
from matlake.errors import EncoderError
from matlake.extras import tool_versions
from matlake.materials.crystal import CrystalColumns
from matlake.materials.graph_recipe import GraphRecipe
from matlake.networks.architectures import Architecture, find_architecture
from matlake.networks.end_to_end import GENTLER, TrainedNetwork, short_config, train_short
from matlake.networks.examples import TRAINING_RESOLUTION_A, GraphExamples
from matlake.networks.fresh_output import start_output, with_fresh_output
from matlake.networks.normalisation import settle_normalisation
from matlake.networks.parity import check_parity, measure_parity
from matlake.networks.reading import read_network
from matlake.networks.training_config import TrainingConfig
from matlake.networks.training_history import EpochReport
from matlake.networks.writing import graph_model
from matlake.progress import Progress

EPOCHS: Final = 120
"""Length of the cycle, where the architecture has no settings of its own; many rows get fewer, see ``short_config``."""

PARITY_TOLERANCE: Final = 1e-4
"""As that of heads: relative to the largest value of a layer."""

_COMPARED: Final = 24
"""Crystals that the file and the network are compared on."""

_SUFFIX: Final = "-fine-tuned"
_LONGEST_NAME: Final = 100


@dataclass(frozen=True)
class FineTuned:
    """A fine-tuned network as an encoder.

    Attributes:
        card: Of the encoder; its prediction is the standardised target.
        files: Its files by name, the card among them.
        mean: Of the target, on the scale on which it was learned, in the rows that the network was trained on.
        std: Of the same.
        settings: Of the training, as a card tells them.
        history: A report for each epoch, errors on the held-out rows included.
    """

    card: EncoderCard
    files: dict[str, bytes]
    mean: float
    std: float
    settings: dict[str, Any]
    history: list[EpochReport]


@dataclass(frozen=True)
class Start:
    """A network with the weights of an encoder, in the encoder's unit.

    Attributes:
        card: Of the encoder.
        recipe: How crystals become graphs.
        architecture: What the network is.
        network: The network.
        licence_files: The text of its licence, which goes wherever its weights go.
    """

    card: EncoderCard
    recipe: GraphRecipe
    architecture: Architecture
    network: nn.Module
    licence_files: dict[str, bytes]


def read_start(source: RegisteredEncoder) -> Start:
    """Read the network of an encoder back from its file.

    Raises:
        EncoderError: The encoder takes compositions, or its weights cannot be read back.
    """
    card, network = source.card, read_network(source.folder)
    if card.input_parameters.graph is None:
        raise EncoderError(f"encoder {card.name} takes compositions, not crystals", "name one of crystals")
    return Start(
        card, card.input_parameters.graph, find_architecture(card.architecture), network, licence_files(source.folder)
    )


def fine_tune(
    start: Start,
    crystals: CrystalColumns,
    y: NDArray[np.float64],
    rows: tuple[NDArray[np.intp], NDArray[np.intp]],
    learned: str,
    seed: int,
    progress: Progress,
    epochs: int | None = None,
) -> FineTuned:
    """Train the network of an encoder end to end, and write it as an encoder.

    Args:
        start: The encoder whose weights are the start.
        crystals: n crystals that it takes.
        y: float64 [n], the target on the scale on which it is learned.
        rows: Those to fit to, and those held out.
        learned: Name of the property, for the card.
        seed: Of the order of rows.
        progress: Receives how many epochs are done.
        epochs: Length of the cycle; default: that of the architecture, or ``EPOCHS``.

    Raises:
        EncoderError: The file that is written is not the network.
        TrainingError: The loss is not finite.
    """
    card, architecture = start.card, start.architecture
    fit, held = rows
    trained_on = crystals.take(np.concatenate(rows))
    graphs = start.recipe.build(trained_on, resolution=TRAINING_RESOLUTION_A)
    labels = y[np.concatenate(rows)][:, None]

    def examples(some: NDArray[np.intp]) -> GraphExamples:
        return GraphExamples(graphs.take(some), labels[some], architecture.batch)

    parts = examples(np.arange(len(fit))), examples(len(fit) + np.arange(len(held)))
    config = short_config(_config(architecture, epochs), len(fit), seed)
    torch.manual_seed(seed)
    sizes = {**(card.training.sizes or {}), **architecture.fresh_sizes}
    network = with_fresh_output(architecture, sizes, start.network, 1)
    if architecture.fresh_sizes:
        # an output on all layers. What enters one behind dense layers varies by parts in a thousand: a regression on it
        # needs weights of a million, which left it no better after training, and float32 not enough for it
        start_output(network, parts[0])
    settle_normalisation(network, parts[0])
    progress.note(f"fine-tuning {card.name} on {len(fit):,} crystals for {config.epochs} epochs")

    def report(history: list[EpochReport]) -> None:
        progress.track(len(history), config.epochs)

    with TemporaryDirectory() as name:
        trained = train_short(network, {"encoder": card.sha256}, parts, config, Path(name), report, keep_last=True)
    settings = {
        "encoder_sha256": card.sha256,
        "epochs": config.epochs,
        "batch_size": config.batch_size,
        "learning_rate": config.learning_rate,
        "weight_decay": config.weight_decay,
    }
    written, files = _write(start, trained, sizes, crystals.take(fit[:_COMPARED]), asdict(config), learned)
    return FineTuned(written, files, trained.mean, trained.std, settings, trained.history)


def _config(architecture: Architecture, epochs: int | None) -> TrainingConfig:
    config = architecture.fine_tuning
    if config is None:
        config = replace(architecture.config, epochs=EPOCHS, learning_rate=architecture.config.learning_rate * GENTLER)
    epochs = epochs or config.epochs
    return replace(config, epochs=epochs, patience=epochs)


def _write(
    start: Start,
    trained: TrainedNetwork,
    sizes: dict[str, Any],
    crystals: CrystalColumns,
    settings: dict[str, Any],
    learned: str,
) -> tuple[EncoderCard, dict[str, bytes]]:
    """Write a network as an encoder that differs from its source in its weights and its prediction."""
    source, architecture = start.card, start.architecture
    model, layers = graph_model(architecture, trained.network, start.recipe)

    def measure(encoder: Encoder) -> dict[str, Any]:
        parity = measure_parity(architecture, trained.network, encoder, crystals)
        check_parity(parity, "float32", PARITY_TOLERANCE)
        return {"parity": parity}

    draft = replace(
        source,
        name=source.name[: _LONGEST_NAME - len(_SUFFIX)] + _SUFFIX,
        version=1,
        layers=layers,
        default_layer=_default_layer(source, layers),
        sha256="",
        precision=Precision.FLOAT32,
        parity_tolerance=PARITY_TOLERANCE,
        target=None,
        training=replace(
            source.training,
            table=None,
            columns=None,
            scope=_scope(source, learned),
            sizes=sizes,
            settings=settings,
            results={"epochs": float(len(trained.history))},
            notes=(*source.training.notes, f"fine-tuned from {source.name}, sha256 {source.sha256}"),
        ),
        metrics={},
        parity={},
        tool_versions=tool_versions(),
    )
    with TemporaryDirectory() as name:
        card = write_encoder(draft, model.SerializeToString(deterministic=True), Path(name), measure)
        return card, {**start.licence_files, **dict(encoder_files(Path(name)))}


def _scope(source: EncoderCard, learned: str) -> TrainingScope:
    """Return what a network may have been trained on: what its source was, with labels of one more property.

    The table of the source says nothing of these: who uses the network as an encoder is to be told.
    """
    training, scope = source.training, source.training.scope
    added = "with the crystals that it was fine-tuned on"
    return TrainingScope(
        database=training.database or (scope.database if scope else f"the data of {source.name}"),
        properties=tuple(dict.fromkeys((*source.trained_on, learned))),
        selection=f"{scope.selection}, {added}" if scope and scope.selection else added,
    )


def _default_layer(source: EncoderCard, layers: tuple[Layer, ...]) -> str:
    """Return the layer in which materials are compared: the source's own, unless that is its prediction."""
    names = [layer.name for layer in layers]
    if source.default_layer in names and source.default_layer != PREDICTION:
        return source.default_layer
    return names[-2]
