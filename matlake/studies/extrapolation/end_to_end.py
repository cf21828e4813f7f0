"""Training a crystal graph network end to end on one property: from scratch, or from an encoder's weights.

The network, its graphs and its sizes are those of the encoder, so that a head on the encoder's vectors and the network
itself can be compared. Trainings are short enough for a processor: symmetry-distinct atoms as in pretraining, a bounded
number of epochs and of steps, one cycle of the rate, and an early end by the error on rows set aside.
"""

import copy
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from matlake.encoders.card import EncoderCard
from matlake.encoders.registry import RegisteredEncoder
from matlake.errors import EncoderError, TrainingError
from matlake.export.pretraining.examples import TRAINING_RESOLUTION_A, GraphExamples
from matlake.export.pretraining.normalisation import settle_normalisation
from matlake.export.pretraining.run import check_device
from matlake.materials.crystal import CrystalColumns
from matlake.materials.graph_recipe import GraphRecipe
from matlake.networks.architectures import ARCHITECTURES, Architecture
from matlake.networks.training_loop import TrainingConfig, load_checkpoint, predictions, train_network
from matlake.networks.unfold import read_network

SCRATCH: Final = "scratch"
FINE_TUNE: Final = "fine-tune"
STARTS: Final = (SCRATCH, FINE_TUNE)

EPOCHS: Final = {SCRATCH: 150, FINE_TUNE: 75}
"""Length of the cycle: pretrained weights have a shorter way to go. On a thousand phonon peaks CGCNN from scratch has
30 % less error after 150 epochs than after 60, on rows that end the training as on others."""

STEPS: Final = 6000
"""Many rows get fewer epochs, so that a training takes an hour rather than a night; never fewer than ``FEWEST``."""

FEWEST: Final = 10
PATIENCE: Final = 50
"""Epochs without a better one: a shorter wait ends trainings before the rate falls."""

GENTLER: Final = 0.5
"""Peak rate of a training that begins with pretrained weights, as a part of that from scratch."""

SMALL_BATCH: Final = 32
SMALL_ROWS: Final = 4000
"""Up to so many rows batches are small: there are few steps anyway."""

_MOST_AVERAGING: Final = 0.998
_LEAST_AVERAGING: Final = 0.9
_OUTPUT: Final = re.compile(r"(fc_out|lin2|output_blocks\.\d+\.lin)\.")
_LARGEST_Z: Final = 94


@dataclass(frozen=True)
class NetworkFit:
    """A trained network's predictions.

    Attributes:
        predicted: float64 [m], in the target's unit.
        validation_mae: On the rows that ended the training, in the target's unit.
        settings: How it was trained.
    """

    predicted: NDArray[np.float64]
    validation_mae: float
    settings: dict[str, Any]


@dataclass
class Shared:
    """What starts and seeds share: the graphs of the crystals asked for last, and encoders' networks."""

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
    """One way of training a network end to end.

    Attributes:
        name: ``scratch:ARCHITECTURE`` or ``fine-tune:ENCODER``.
        architecture: What it is.
        card: Of the encoder whose sizes and graphs it has.
        folder: Of that encoder, where its weights are the start; None from scratch.
        keep_output: Whether the output layer is kept, too, because the encoder predicts the very target; otherwise it
            is drawn anew.
        config: Training settings; batch size, averaging and epochs are fitted to the number of rows.
        shared: With other ways.
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
    def encoder(self) -> str | None:
        """Name of the encoder whose weights it starts from."""
        return None if self.folder is None else self.card.name

    def identity(self) -> dict[str, Any]:
        """Return what a measurement of it depends on, besides rows and seed."""
        return {
            "name": self.name,
            "architecture": self.architecture.name,
            "sizes": self.card.training["sizes"],
            "graph": self.card.input_parameters["graph"],
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
        """Train, and predict for rows set aside; a training found in ``folder`` goes on.

        Args:
            crystals: n crystals.
            y: float64 [n], target in its unit.
            fit: Rows to fit to.
            stop: Rows that choose the epoch and end the training.
            test: Rows to predict for [m].
            seed: Of fresh weights and the order of rows.
            folder: Receives a checkpoint after each epoch.
            check: Called after each epoch; what it raises ends the training, which can go on later.

        Raises:
            TrainingError: A crystal has an element that the network has no place for, or the loss is not finite.
            EncoderError: The encoder's weights cannot be read back.
        """
        unknown = np.unique(crystals.numbers[crystals.numbers > _LARGEST_Z])
        if len(unknown):
            raise TrainingError(
                f"crystals hold elements beyond Z = {_LARGEST_Z}: {', '.join(map(str, unknown))}",
                "leave them out with --where",
            )
        graphs = self.shared.graphs(GraphRecipe.from_card(self.card.input_parameters["graph"]), crystals)

        def examples(rows: NDArray[np.intp]) -> GraphExamples:
            assert self.architecture.batch is not None  # noqa: S101 - graph networks have one
            return GraphExamples(graphs.take(rows), y[rows][:, None], self.architecture.batch)

        config = self._settings(len(fit), seed)
        train = examples(fit)
        network = self._start(train, y[fit], seed)
        identity = {
            "architecture": self.architecture.name,
            "sizes": self.card.training["sizes"],
            "graph": {name: self.card.input_parameters["graph"][name] for name in ("cutoff_A", "max_neighbours")},
            "targets": ["target"],
        }
        history = train_network(
            network, identity, (train, examples(stop)), config, folder, lambda _: check(), device=self.device
        )
        best = min(history, key=lambda report: report.val_mae)
        # not a network built anew: a shift that came with pretrained weights is no part of a checkpoint
        trained = _with_best(network.cpu(), folder)
        return NetworkFit(
            predicted=predictions(trained, examples(test))[:, 0],
            validation_mae=best.val_mae,
            settings={**asdict(config), "epochs_run": len(history), "best_epoch": best.epoch},
        )

    def _settings(self, rows: int, seed: int) -> TrainingConfig:
        batch = min(self.config.batch_size, SMALL_BATCH) if rows <= SMALL_ROWS else self.config.batch_size
        while rows % batch == 1:  # a batch of one atom has no variance to normalise by
            batch += 1
        steps = -(-rows // batch)
        return replace(
            self.config,
            epochs=min(self.config.epochs, max(FEWEST, STEPS // steps)),
            batch_size=batch,
            averaging=float(np.clip(1.0 - 1.0 / steps, _LEAST_AVERAGING, _MOST_AVERAGING)),
            seed=seed,
        )

    def _start(self, train: GraphExamples, y: NDArray[np.float64], seed: int) -> nn.Module:
        """Return the weights that the training begins with, predicting the standardised target."""
        torch.manual_seed(seed)
        network = self.architecture.network(**self.card.training["sizes"])
        if self.folder is None:
            return network
        source = self.shared.network(self.folder)
        if self.keep_output:
            network = source
            scale = float(y.std()) or 1.0
            network.fold_target_scaling(torch.tensor([-y.mean() / scale]).float(), torch.tensor([1.0 / scale]).float())  # type: ignore[operator]
        else:
            kept = {name: value for name, value in source.state_dict().items() if not _OUTPUT.match(name)}
            network.load_state_dict(kept, strict=False)
        settle_normalisation(network, train)
        return network


def _with_best(network: nn.Module, folder: Path) -> nn.Module:
    """Give a trained network the weights of its best epoch, and the target's own unit."""
    state = load_checkpoint(folder / "best.pt")
    network.load_state_dict(state["network"])
    mean, std = (torch.tensor(state[name], dtype=torch.float32) for name in ("target_mean", "target_std"))
    network.fold_target_scaling(mean, std)  # type: ignore[operator]
    return network.eval()


def end_to_end_networks(
    encoders: Sequence[RegisteredEncoder],
    target: str,
    *,
    starts: Sequence[str] = STARTS,
    epochs: int | None = None,
    device: str = "cpu",
) -> list[EndToEnd]:
    """Return the ways of training the networks of some encoders end to end.

    Args:
        encoders: Of crystals; each gives its network, and its weights to fine-tune from.
        target: Column that will be predicted: an encoder of the very property keeps its output layer.
        starts: ``SCRATCH``, ``FINE_TUNE`` or both.
        epochs: Most epochs, whatever the start; ``EPOCHS`` where not given.
        device: A torch device.

    Raises:
        EncoderError: An encoder is not that of a crystal graph network, or its card does not say its sizes.
        MissingExtraError: The device is not there.
    """
    check_device(device)
    shared = Shared()
    ways = []
    for encoder in encoders:
        card = encoder.card
        if card.input != "crystal" or "sizes" not in card.training:
            raise EncoderError(
                f"encoder {card.name} gives no crystal graph network to train: "
                + ("it takes compositions" if card.input != "crystal" else "its card does not say its sizes"),
                "name one of architecture cgcnn, schnet or dimenet++",
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
            ways.append(
                EndToEnd(
                    name=f"{FINE_TUNE}:{card.name}" if tuned else f"{SCRATCH}:{card.architecture}",
                    architecture=architecture,
                    card=card,
                    folder=encoder.folder if tuned else None,
                    keep_output=tuned and card.target.get("name") == target and card.layer("prediction").dim == 1,
                    config=config,
                    shared=shared,
                    device=device,
                )
            )
    return ways
