"""What a checkpoint is turned into, and what the caller must say where the file does not."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from matlake.errors import EncoderError, Hint
from matlake.materials.graph_recipe import GraphRecipe
from matlake.networks.cgcnn import CGCNN
from matlake.networks.dimenet import DimeNetPlusPlus
from matlake.networks.schnet import SchNet

GraphNetwork = CGCNN | SchNet | DimeNetPlusPlus
Sizes = dict[str, Any]

MATERIALS_PROJECT: Final = "A. Jain et al., APL Mater. 1, 011002 (2013), doi:10.1063/1.4812323 (Materials Project)"

_LARGEST_CUTOFF_A: Final = 20.0  # as in GraphRecipe

_Value = TypeVar("_Value", int, float)


@dataclass(frozen=True)
class LoadedNetwork:
    """A trained network, and all that its export needs to know.

    Attributes:
        network: In evaluation mode; predicts in the target's own unit.
        architecture: A key of ``ARCHITECTURES``.
        recipe: How crystals become its graphs.
        sizes: The arguments that the network was built with.
        target: ``name`` and ``unit`` of what it predicts, where they are known; as on a card.
        origin: The format that the file was in.
        notes: What a user of the network has to know, for the card.
        licence: Licence of the weights, where it is known.
        citation: Papers to cite, beyond those of the architecture.
    """

    network: GraphNetwork
    architecture: str
    recipe: GraphRecipe
    sizes: Sizes
    target: dict[str, str]
    origin: str
    notes: tuple[str, ...]
    licence: str | None
    citation: tuple[str, ...]


@dataclass(frozen=True)
class Stated:
    """What the caller states about a network; None where it is left to the file.

    Attributes:
        cutoff: In Å.
        max_neighbours: Nearest neighbours kept; 0 for all.
        keep_images: Whether angles between different images of one atom count.
        envelope_exponent: Exponent of DimeNet++'s envelope.
    """

    cutoff: float | None = None
    max_neighbours: int | None = None
    keep_images: bool | None = None
    envelope_exponent: int | None = None

    def check(self, architecture: str) -> None:
        """Raise EncoderError for a value out of range, or one that the architecture does not have."""
        if self.cutoff is not None and not 0 < self.cutoff <= _LARGEST_CUTOFF_A:
            raise EncoderError(f"a cutoff of {self.cutoff:g} Å", f"it is above 0 and at most {_LARGEST_CUTOFF_A:g} Å")
        if self.max_neighbours is not None and self.max_neighbours < 0:
            raise EncoderError(f"{self.max_neighbours} neighbours", "0 keeps all neighbours within the cutoff")
        if self.envelope_exponent is not None and self.envelope_exponent < 1:
            raise EncoderError(f"an envelope exponent of {self.envelope_exponent}", "published networks have 5")
        if architecture != "dimenet++":
            for name, value in (("keep_images", self.keep_images), ("envelope_exponent", self.envelope_exponent)):
                if value is not None:
                    raise EncoderError(f"{name} is stated, which {architecture} does not have", "leave it out")

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
