"""Training a crystal graph network end to end on one property: from scratch, or from an encoder's weights.

The network, its graphs and its sizes are those of the encoder, so that a head on the encoder's vectors and the network
itself can be compared. Trainings are short enough for a processor: symmetry-distinct atoms as in pretraining, a bounded
number of epochs and of steps, one cycle of the rate, and an early end by the error on validation rows.

Heads are fine-tuned otherwise (``networks.fine_tuning``): nothing is chosen by validation rows there, and the output of
some architectures takes all layers and begins with a ridge regression. Here it is the encoder's own, drawn anew, in all
measurements that a lake may hold.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from matlake.encoders.card import PREDICTION, EncoderCard
from matlake.encoders.registry import RegisteredEncoder
from matlake.errors import EncoderError
from matlake.materials.crystal import CrystalColumns
from matlake.materials.graph_recipe import GraphRecipe
from matlake.networks.architectures import ARCHITECTURES, GRAPH_NETWORKS, Architecture
from matlake.networks.end_to_end import GENTLER, STEPS, check_elements, short_config, train_short
from matlake.networks.examples import TRAINING_RESOLUTION_A, GraphExamples
from matlake.networks.fresh_output import with_fresh_output
from matlake.networks.normalisation import settle_normalisation
from matlake.networks.reading import read_network
from matlake.networks.training import check_device, predictions
from matlake.networks.training_config import TrainingConfig
from matlake.networks.training_history import best_epoch
from matlake.studies.extrapolation.methods import FINE_TUNE, NETWORKS, SCRATCH, NetworkFit

EPOCHS: Final = {SCRATCH: 150, FINE_TUNE: 75}
"""Length of the cycle: pretrained weights need fewer epochs. On a thousand phonon peaks CGCNN from scratch has
30 % less error after 150 epochs than after 60, on validation rows as on others."""

PATIENCE: Final = 50
"""Epochs without a better one: a shorter wait ends trainings before the rate falls."""


@dataclass
class Shared:
    """What trainings share: the graphs of the crystals asked for last, and encoders' networks."""

    _crystals: CrystalColumns | None = None
    _of_recipe: dict[GraphRecipe, Any] = field(default_factory=dict)
    _networks: dict[Path, nn.Module] = field(default_factory=dict)

    def network(self, folder: Path) -> nn.Module:
        """Return a copy of the network of an encoder."""
        if folder not in self._networks:
            self._networks[folder] = read_network(folder)
        return copy.deepcopy(self._networks[folder])

    def graphs(self, recipe: GraphRecipe, crystals: CrystalColumns) -> Any:
        """Return the graphs of all crystals."""
        if crystals is not self._crystals:
            self._crystals, self._of_recipe = crystals, {}
        if recipe not in self._of_recipe:
            self._of_recipe[recipe] = recipe.build(crystals, resolution=TRAINING_RESOLUTION_A)
        return self._of_recipe[recipe]


@dataclass(frozen=True)
class EndToEnd:
    """A method: a network trained end to end.

    Attributes:
        name: ``scratch:ARCHITECTURE`` or ``fine-tune:ENCODER``.
        architecture: What it is.
        card: Of the encoder whose sizes and graphs it has.
        folder: Of that encoder, where its weights are the start; None from scratch.
        keep_output: Whether the output layer is kept, too, because the encoder predicts the very target; otherwise it
            is drawn anew.
        config: Training settings; batch size, averaging and epochs are fitted to the number of rows.
        shared: With other methods.
        device: A torch device.
    """

    name: str
    architecture: Architecture
    card: EncoderCard
    folder: Path | None
    keep_output: bool
    config: TrainingConfig
    shared: Shared
    device: str = "cpu"

    @property
    def counterpart(self) -> str:
        """Name of the encoder whose network this is."""
        return self.card.name

    @property
    def recipe(self) -> GraphRecipe:
        """How crystals become graphs, as the card states it."""
        assert self.card.input_parameters.graph is not None  # noqa: S101 - the encoder takes crystals
        return self.card.input_parameters.graph

    @property
    def encoder(self) -> str | None:
        """Name of the encoder whose weights it starts from."""
        return None if self.folder is None else self.card.name

    def identity(self) -> dict[str, Any]:
        """Return what a measurement of it depends on, besides rows and seed."""
        return {
            "name": self.name,
            "architecture": self.architecture.name,
            "sizes": self.card.training.sizes,
            "graph": self.recipe.to_card(),
            "weights": None if self.folder is None else self.card.sha256,
            "keep_output": self.keep_output,
            "settings": asdict(self.config),
            "steps": STEPS,
        }

    def fit_predict(
        self,
        crystals: CrystalColumns,
        y: NDArray[np.float64],
        fit: NDArray[np.intp],
        stop: NDArray[np.intp],
        test: NDArray[np.intp],
        *,
        seed: int,
        folder: Path,
        check: Callable[[], None] = lambda: None,
    ) -> NetworkFit:
        """Train, and predict for the test rows; a training found in ``folder`` goes on.

        Args:
            crystals: n crystals.
            y: float64 [n], target as it is learned: in its unit, or transformed.
            fit: Rows to fit to.
            stop: Validation rows: they choose the epoch and end the training.
            test: Rows to predict for [m].
            seed: Of fresh weights and the order of rows.
            folder: Receives a checkpoint after each epoch.
            check: Called after each epoch; what it raises ends the training, which can go on later.

        Raises:
            TrainingError: A crystal has an element that the network has no place for, or the loss is not finite.
            EncoderError: The encoder's weights cannot be read back.
        """
        check_elements(crystals)
        graphs = self.shared.graphs(self.recipe, crystals)

        def examples(rows: NDArray[np.intp]) -> GraphExamples:
            return GraphExamples(graphs.take(rows), y[rows][:, None], self.architecture.batch)

        config = short_config(self.config, len(fit), seed)
        train = examples(fit)
        network = self._start(train, y[fit], seed)
        identity = {
            "architecture": self.architecture.name,
            "sizes": self.card.training.sizes,
            "graph": {"cutoff_A": self.recipe.cutoff_A, "max_neighbours": self.recipe.max_neighbours},
            "targets": ["target"],
        }
        trained = train_short(
            network, identity, (train, examples(stop)), config, folder, lambda _: check(), device=self.device
        )
        best = trained.history[best_epoch(trained.history) - 1]
        return NetworkFit(
            predicted=predictions(trained.network, examples(test))[:, 0] * trained.std + trained.mean,
            settings={**asdict(config), "epochs_run": len(trained.history), "best_epoch": best.epoch},
        )

    def _start(self, train: GraphExamples, y: NDArray[np.float64], seed: int) -> nn.Module:
        """Return the weights that the training begins with, predicting the standardised target."""
        source = None if self.folder is None else self.shared.network(self.folder)
        sizes = self.card.training.sizes or {}
        torch.manual_seed(seed)  # reading a network draws weights, too
        if source is None:
            fresh: nn.Module = self.architecture.network(**sizes)
            return fresh
        if self.keep_output:
            network = source
            scale = float(y.std()) or 1.0
            network.fold_target_scaling(torch.tensor([-y.mean() / scale]).float(), torch.tensor([1.0 / scale]).float())  # type: ignore[operator]
        else:
            network = with_fresh_output(self.architecture, sizes, source, 1)
        settle_normalisation(network, train)
        return network


def end_to_end_networks(
    encoders: Sequence[RegisteredEncoder],
    target: str | None,
    *,
    starts: Sequence[str] = NETWORKS,
    epochs: int | None = None,
    device: str = "cpu",
) -> list[EndToEnd]:
    """Return the methods that train the networks of some encoders end to end.

    Args:
        encoders: Of crystals; each gives its network, and its weights to fine-tune from.
        target: Column that will be predicted as it is: an encoder of the very property keeps its output layer. None
            where the target is transformed.
        starts: ``SCRATCH``, ``FINE_TUNE`` or both.
        epochs: Most epochs, whatever the start; by default ``EPOCHS``.
        device: A torch device.

    Raises:
        EncoderError: An encoder is not that of a crystal graph network, or its card does not say its sizes.
        MissingExtraError: The device is not there.
    """
    check_device(device)
    shared = Shared()
    methods = []
    for encoder in encoders:
        card = encoder.card
        if card.architecture not in GRAPH_NETWORKS or card.training.sizes is None:
            raise EncoderError(
                f"encoder {card.name} gives no crystal graph network to train: " + _not_trained(card),
                f"name one of architecture {', '.join(GRAPH_NETWORKS)}",
            )
        architecture = ARCHITECTURES[card.architecture]
        for start in starts:
            tuned = start == FINE_TUNE
            config = replace(
                architecture.config,
                epochs=epochs or EPOCHS[start],
                patience=PATIENCE,
                learning_rate=architecture.config.learning_rate * (GENTLER if tuned else 1.0),
            )
            methods.append(
                EndToEnd(
                    name=f"{FINE_TUNE}:{card.name}" if tuned else f"{SCRATCH}:{card.architecture}",
                    architecture=architecture,
                    card=card,
                    folder=encoder.folder if tuned else None,
                    keep_output=tuned and _predicts(card, target),
                    config=config,
                    shared=shared,
                    device=device,
                )
            )
    return methods


def _predicts(card: EncoderCard, target: str | None) -> bool:
    return card.target is not None and card.target.name == target and card.layer(PREDICTION).dim == 1


def _not_trained(card: EncoderCard) -> str:
    """Say why the network of an encoder cannot be trained."""
    if card.input != "crystal":
        return "it takes compositions"
    if card.architecture not in GRAPH_NETWORKS:
        return f"networks of architecture {card.architecture} are not trained here"
    return "its card does not say its sizes"
