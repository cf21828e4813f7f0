"""A split: what it needs, the part it holds out, and all of its parts."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from matlake.errors import TrainingError
from matlake.regress.features.matrix import Matrix
from matlake.regress.splits.held_out import HeldOut, Proposal, check_compositions, find_trouble, settle

Proposer: TypeAlias = Callable[[Matrix, int], Iterable[Proposal]]
"""From rows and a seed to proposals."""


@dataclass(frozen=True)
class Split:
    """A method of holding out test rows; ``parse_split`` makes it from text.

    Attributes:
        text: How to type it, in one spelling.
        preferred: Proposes what ``hold_out`` may take, best first.
        every: Proposes all parts, one after the other.
        columns: Columns of ``materials`` that it needs.
        needs_crystals: It needs the crystals.
    """

    text: str
    preferred: Proposer
    every: Proposer
    columns: tuple[str, ...] = ()
    needs_crystals: bool = False

    def hold_out(self, matrix: Matrix, seed: int) -> HeldOut:
        """Hold out test rows once.

        Args:
            matrix: The rows, read with ``columns`` and ``needs_crystals`` of this split.
            seed: Decides all that is drawn.

        Raises:
            TrainingError: The rows do not allow it.
        """
        check_compositions(matrix)
        troubles: list[TrainingError] = []
        for proposal in self.preferred(matrix, seed):
            held = settle(matrix, proposal)
            trouble = find_trouble(matrix, held)
            if trouble is None:
                return held
            troubles.append(trouble)
        raise _first(troubles, self.text)

    def folds(self, matrix: Matrix, seed: int) -> Iterator[HeldOut]:
        """Hold out each part in turn; parts too small to train or test on are passed over.

        Args:
            matrix: The rows, read with ``columns`` and ``needs_crystals`` of this split.
            seed: Decides all that is drawn.

        Raises:
            TrainingError: The rows allow it for no part.
        """
        check_compositions(matrix)
        troubles: list[TrainingError] = []
        passed = False
        for proposal in self.every(matrix, seed):
            held = settle(matrix, proposal)
            trouble = find_trouble(matrix, held)
            if trouble is None:
                passed = True
                yield held
            else:
                troubles.append(trouble)
        if not passed:
            raise _first(troubles, self.text)


def _first(troubles: list[TrainingError], text: str) -> TrainingError:
    nothing = TrainingError(f"the split {text} proposes no rows to test", "choose another split, or select more rows")
    return troubles[0] if troubles else nothing
