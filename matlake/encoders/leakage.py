"""Leakage: what encoders were trained on, held against the tested rows, and the check that refuses it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.card import EncoderCard
from matlake.encoders.label_kinds import label_kind
from matlake.encoders.training_contents import TrainingContents, random_parts
from matlake.errors import LeakageError

LABELS: Final = "labels"
"""Refuse where the encoder learned the same label (see ``label_kind``), and may have on tested compositions."""

CONTENTS: Final = "contents"
"""Refuse where it may have been trained on tested compositions, whatever the property."""

REPORT: Final = "report"
"""Refuse nothing, and say what encoders were trained on."""

POLICIES: Final = (LABELS, CONTENTS, REPORT)

NOTHING: Final = "nothing was learned"
FROM_TABLE: Final = "by its table"
FROM_SPLIT: Final = "at most, by its random split"
FROM_SCOPE: Final = "at most, by the rule on its card"
FROM_CARD: Final = "at most, its table is not given"
"""How it is known what an encoder was trained on."""


@dataclass(frozen=True)
class Exposure:
    """What an encoder was trained on, held against some tested rows.

    Attributes:
        encoder: Its name.
        trained_on: Properties that it was trained on, as on its card; empty where it learned nothing.
        same_property: Whether the property tested is among them, or has the same label as one of them.
        how: ``NOTHING``, ``FROM_TABLE``, ``FROM_SPLIT``, ``FROM_SCOPE`` or ``FROM_CARD``.
        tested: Rows tested.
        compositions: Rows of them whose composition was trained on; at most so many without its table.
        crystals: Rows of them whose very crystal was; None without its table. The same material described in
            two files is two crystals.
        chosen_by: Rows whose composition chose the epoch; None without its table.
        scope: The rule on its card, for people; empty where there is none.
    """

    encoder: str
    trained_on: tuple[str, ...]
    same_property: bool
    how: str
    tested: int
    compositions: int
    crystals: int | None = None
    chosen_by: int | None = None
    scope: str = ""

    def refusal(self, policy: str) -> str:
        """Return why a policy refuses such a test, empty where it does not."""
        if policy == REPORT or not self.compositions or (policy == LABELS and not self.same_property):
            return ""
        surely = self.how == FROM_TABLE
        doubt = f"its training data: {self.scope}" if self.how == FROM_SCOPE else "only its training table can say"
        what = f"on {', '.join(self.trained_on)} of " if self.same_property else "on "
        return (
            f"encoder {self.encoder} {'was' if surely else 'may have been'} trained {what}{self.compositions:,} of the "
            f"{self.tested:,} tested compositions{'' if surely else f' ({doubt})'}"
        )


def expose(
    card: EncoderCard,
    target: str,
    compositions: Sequence[str],
    crystals: Sequence[str] | None,
    contents: TrainingContents | None,
) -> tuple[Exposure, NDArray[np.bool_]]:
    """Say which tested rows an encoder was trained on.

    Args:
        card: Of the encoder.
        target: Column that is tested.
        compositions: Content hashes of the m tested compositions.
        crystals: Content hashes of the m tested crystals; None where there are none.
        contents: What the encoder was trained on, where its table is given.

    Returns:
        The numbers, and bool [m]: rows whose composition was, or may have been, trained on.
    """
    same = label_kind(target) in set(map(label_kind, card.trained_on))
    teachers = card.training.teachers
    if teachers:  # whose own training data are not those of the table
        how, met = FROM_SCOPE, np.ones(len(compositions), dtype=bool)
    elif card.is_descriptor and not card.trained_on:
        how, met = NOTHING, np.zeros(len(compositions), dtype=bool)
    elif contents is not None:
        how, met = FROM_TABLE, np.array([one in contents.compositions for one in compositions], dtype=bool)
    else:
        how, met = _by_card(card, compositions)
    known = contents if how == FROM_TABLE else None
    return (
        Exposure(
            encoder=card.name,
            trained_on=card.trained_on,
            same_property=same,
            how=how,
            tested=len(compositions),
            compositions=int(met.sum()),
            crystals=sum(one in known.crystals for one in crystals) if known and crystals is not None else None,
            chosen_by=sum(one in known.chosen_by for one in compositions) if known else None,
            scope=_scope(card),
        ),
        met,
    )


def _scope(card: EncoderCard) -> str:
    of_teachers = [f"{one.name}: {one.scope.text if one.scope else 'unknown data'}" for one in card.training.teachers]
    return "; ".join([*([card.training.scope.text] if card.training.scope else []), *of_teachers])


def check_disjoint(contents: Mapping[str, Sequence[str]], train: NDArray[np.intp], test: NDArray[np.intp]) -> None:
    """Raise LeakageError when the content of a tested row is among those trained on.

    Args:
        contents: Kind of content, such as ``composition`` -> its hash for each of n rows.
        train: Rows trained on.
        test: Rows tested.

    Raises:
        LeakageError: A content is on both sides.
    """
    for kind, hashes in contents.items():
        every = np.asarray(hashes)
        shared = test[np.isin(every[test], every[train])]
        if len(shared):
            raise LeakageError(
                f"{len(shared):,} of {len(test):,} tested rows have a {kind} that is trained on, the first is row "
                f"{shared[0]} ({kind} {every[shared[0]]})",
                "test on rows whose compositions are not trained on",
            )


def _by_card(card: EncoderCard, compositions: Sequence[str]) -> tuple[str, NDArray[np.bool_]]:
    """Say which compositions may have been trained on: those that a random split puts there, or all."""
    columns = card.training.columns
    if columns is not None and columns.split_column is None:
        parts = random_parts(compositions, columns.seed, columns.shares)
        return FROM_SPLIT, np.array([part == "train" for part in parts], dtype=bool)
    how = FROM_CARD if card.training.scope is None else FROM_SCOPE
    return how, np.ones(len(compositions), dtype=bool)
