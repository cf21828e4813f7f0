"""What a checkpoint is turned into, and what the caller must say where the file does not."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numpy as np
from torch import nn

from matlake.encoders.card import Target
from matlake.encoders.training_record import TrainingRecord
from matlake.errors import EncoderError, Hint
from matlake.export.pretraining.run_record import RunRecord
from matlake.materials.graph_recipe import GraphRecipe
from matlake.materials.periodic_table import SYMBOLS
from matlake.networks.architectures import Architecture
from matlake.networks.cgcnn import CGCNN
from matlake.networks.dimenet import DimeNetPlusPlus
from matlake.networks.schnet import SchNet

GraphNetwork = CGCNN | SchNet | DimeNetPlusPlus
Sizes = dict[str, Any]

_LARGEST_CUTOFF_A: Final = 20.0  # as in GraphRecipe

_Value = TypeVar("_Value", int, float)


@dataclass(frozen=True)
class Trained:
    """A trained network and what is known of it, whatever kind of file it comes from.

    Attributes:
        architecture: What it is.
        network: In evaluation mode; predicts in the targets' own units.
        recipe: How crystals become its graphs; None for compositions.
        elements: Symbols of the elements it takes: those of the training rows, where these are known.
        target: What it predicts, as on a card; None where the file does not say it.
        training: What a card says about the training.
        licence: Licence of the weights, where the file says it.
        citation: Papers to cite, beyond those of the architecture.
        record: The record of the run, where it is one of our own.
        default_layer: The layer meant when none is named; None for that of all networks of its input.
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
    default_layer: str | None = None


def known_elements(network: nn.Module) -> tuple[str, ...]:
    """Return the elements that a graph network has an entry for."""
    if isinstance(network, CGCNN):
        known = network.atom_features.any(dim=1).numpy()
    else:
        table: Any = network.embedding if isinstance(network, SchNet) else cast("Any", network).emb.emb
        known = np.arange(table.num_embeddings) > 0
    return tuple(SYMBOLS[z - 1] for z in np.flatnonzero(known[: len(SYMBOLS) + 1]) if z)


@dataclass(frozen=True)
class Stated:
    """What the caller states about a network; None where it is left to the file.

    Attributes:
        cutoff: In Å.
        max_neighbours: Nearest neighbours kept; 0 for all.
        keep_images: Whether angles between different images of one atom count.
    """

    cutoff: float | None = None
    max_neighbours: int | None = None
    keep_images: bool | None = None

    def check(self, architecture: str) -> None:
        """Raise EncoderError for a value out of range, or one that the architecture does not have."""
        if self.cutoff is not None and not 0 < self.cutoff <= _LARGEST_CUTOFF_A:
            raise EncoderError(f"a cutoff of {self.cutoff:g} Å", f"it is above 0 and at most {_LARGEST_CUTOFF_A:g} Å")
        if self.max_neighbours is not None and self.max_neighbours < 0:
            raise EncoderError(f"{self.max_neighbours} neighbours", "0 keeps all neighbours within the cutoff")
        if architecture != "dimenet++" and self.keep_images is not None:
            raise EncoderError(f"keep_images is stated, which {architecture} does not have", "leave it out")

    def settle_cutoff(self, path: Path, found: float | None) -> float:
        """Return the cutoff in Å from the file and the caller, who must not contradict each other."""
        cutoff = _settled(self.cutoff, found, path, "cutoff", Hint("cutoff, in Å", cli="--cutoff, in Å"))
        if not (math.isfinite(cutoff) and 0 < cutoff <= _LARGEST_CUTOFF_A):
            raise EncoderError(f"{path} says a cutoff of {cutoff:g} Å, above {_LARGEST_CUTOFF_A:g} Å or no length")
        return cutoff

    def settle_neighbours(self, path: Path, found: int | None) -> int:
        """Return the cap on neighbours from the file and the caller, who must not contradict each other."""
        rule = "(0 keeps all within the cutoff)"
        option = Hint(f"max_neighbours {rule}", cli=f"--max-neighbours {rule}")
        return _settled(self.max_neighbours, found, path, "neighbour cap", option)


def _settled(stated: _Value | None, found: _Value | None, path: Path, what: str, option: Hint) -> _Value:
    if stated is not None and found is not None and not math.isclose(stated, found, rel_tol=1e-6):
        raise EncoderError(f"{path} was trained with a {what} of {found:g}, not {stated:g}", "leave it out")
    if found is not None:
        return found
    if stated is None:
        raise EncoderError(
            f"{path} does not say the {what} of its graphs", Hint(f"state it: {option}", cli=f"state it: {option.cli}")
        )
    return stated
