"""A split: from proposals of test rows to training rows, test rows, and rows that are neither, with the reason.

A scheme first proposes the rows to test. Then one rule holds for every scheme: a composition that would sit on both
sides is taken off one of them, so that no head is tested on a composition it was trained on. Equal crystals have equal
compositions, so they are never on both sides either.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from matlake.errors import TrainingError
from matlake.regress.features.matrix import Matrix

Rows: TypeAlias = NDArray[np.intp]

MIN_COMPOSITIONS: Final = 10
MIN_TRAIN: Final = 8
"""Compositions to train on: fewer leave nothing for cross-validation."""

MIN_TEST: Final = 2
"""Compositions to test on: one error is not a distribution."""


@dataclass(frozen=True)
class HeldOut:
    """A split of the rows. The three sets are disjoint and together all rows; each is in ascending order.

    Attributes:
        label: What is held out, such as ``O`` or ``fold 1 of 5``.
        train: Rows to train on.
        test: Rows to test on.
        dropped: Rows that are neither; the description gives the reason.
        description: One sentence with the numbers.
    """

    label: str
    train: Rows
    test: Rows
    dropped: Rows
    description: str


@dataclass(frozen=True)
class Proposal:
    """The rows that a scheme would test.

    Attributes:
        label: What is held out.
        rule: What the tested rows do, completing ``rows that …``.
        test: bool [n].
        unknown: bool [n], rows that the scheme cannot place; by default none.
        reason: What those rows lack, completing ``rows without …``.
        shared: The side that keeps a composition found on both; its rows on the other side are dropped. ``both``
            drops nothing, as published folds do not.
    """

    label: str
    rule: str
    test: NDArray[np.bool_]
    unknown: NDArray[np.bool_] | np.bool_ = np.False_
    reason: str = ""
    shared: Literal["test", "train", "both"] = "test"


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
        time_column: The column of times that it trains on the past of; None for a split by something else.
        part: The part that ``hold_out`` holds out; None where it chooses one.
    """

    text: str
    preferred: Proposer
    every: Proposer
    columns: tuple[str, ...] = ()
    needs_crystals: bool = False
    time_column: str | None = None
    part: str | None = None

    def hold_out(self, matrix: Matrix, seed: int) -> HeldOut:
        """Hold out test rows once.

        Args:
            matrix: The rows, read with ``columns`` and ``needs_crystals`` of this split.
            seed: Decides all that is drawn.

        Raises:
            TrainingError: The rows do not allow it.
        """
        return next(self._possible(matrix, self.preferred(matrix, seed)))

    def folds(self, matrix: Matrix, seed: int) -> Iterator[HeldOut]:
        """Hold out each part in turn; parts too small to train or test on are passed over.

        Args:
            matrix: As for ``hold_out``.
            seed: Likewise.

        Raises:
            TrainingError: The rows allow it for no part.
        """
        return self._possible(matrix, self.every(matrix, seed))

    def _possible(self, matrix: Matrix, proposals: Iterable[Proposal]) -> Iterator[HeldOut]:
        distinct = len(np.unique(matrix.codes))
        if distinct < MIN_COMPOSITIONS:
            raise TrainingError(
                f"{len(matrix.y):,} rows of only {distinct} different compositions; at least {MIN_COMPOSITIONS} are "
                "needed",
                "label more materials, or select more rows",
            )
        first: TrainingError | None = None
        passed = False
        for proposal in proposals:
            held = settle(matrix, proposal)
            trouble = find_trouble(matrix, held)
            if trouble is None:
                passed = True
                yield held
            first = first or trouble
        if not passed:
            raise first or TrainingError(
                f"the split {self.text} proposes no rows to test", "choose another split, or select more rows"
            )


def settle(matrix: Matrix, proposal: Proposal) -> HeldOut:
    """Apply the rule about shared compositions to a proposal, and describe the outcome."""
    _, group = np.unique(matrix.codes, return_inverse=True)
    test, train = proposal.test & ~proposal.unknown, ~proposal.test & ~proposal.unknown
    shared = np.intersect1d(group[test], group[train])
    left_out, kept = [], ""
    if proposal.unknown.any():
        left_out.append(f"{proposal.unknown.sum():,} without {proposal.reason}")
    if proposal.shared == "both":
        kept = f"; the compositions of {np.isin(group[test], shared).sum():,} tested rows are trained on, too"
    else:
        losing = train if proposal.shared == "test" else test
        repeated = losing & np.isin(group, shared)
        losing &= ~repeated
        if repeated.any():
            other = "tested" if proposal.shared == "test" else "trained on"
            left_out.append(f"{repeated.sum():,} whose composition is {other}")
    description = (
        f"tests {test.sum():,} of {len(test):,} rows, those that {proposal.rule}, and trains on {train.sum():,}"
        + (f"; leaves out {' and '.join(left_out)}" if left_out else "")
        + kept
    )
    return HeldOut(
        proposal.label, np.flatnonzero(train), np.flatnonzero(test), np.flatnonzero(~(test | train)), description
    )


def find_trouble(matrix: Matrix, held: HeldOut) -> TrainingError | None:
    """Return why these rows cannot be trained and tested on, or None."""
    train, test = (len(np.unique(matrix.codes[rows])) for rows in (held.train, held.test))
    if train < MIN_TRAIN or test < MIN_TEST:
        return TrainingError(
            f"too few compositions, {train} to train on and {test} to test on, where {MIN_TRAIN} and {MIN_TEST} are "
            f"needed: the split {held.description}",
            "hold out something else, or select more rows",
        )
    y = matrix.y[held.train]
    if y.min() == y.max():
        return TrainingError(
            f"the target is {y[0]:g} in all {len(y):,} training rows: the split {held.description}",
            "hold out something else, or select more rows",
        )
    return None
