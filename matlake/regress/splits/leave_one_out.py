"""Leave one part out: an element, a cluster, a space group, or whatever rows can be labelled by."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from matlake.errors import TrainingError
from matlake.regress.features.matrix import Matrix
from matlake.regress.splits.split import Proposal, Rows, Split

SMALLEST_SHARE: Final = 0.05
LARGEST_SHARE: Final = 0.3
"""A part is drawn among those that hold so much of the rows: enough to measure on, and most are left to train on."""

_SHOWN: Final = 8


@dataclass(frozen=True)
class Labels:
    """Which parts each row belongs to; one row may belong to several.

    Attributes:
        names: Names of the parts that hold rows, in the order in which they are held out.
        rows: intp [m], rows of the m pairs of row and part.
        parts: intp [m], parts of the same pairs, as places in ``names``.
        unknown: bool [n], rows that cannot be labelled.
        reason: What those rows lack, completing ``rows without …``.
    """

    names: tuple[str, ...]
    rows: Rows
    parts: Rows
    unknown: NDArray[np.bool_]
    reason: str = ""

    @classmethod
    def of_codes(cls, codes: NDArray[np.integer[Any]], names: Sequence[str], reason: str = "") -> Self:
        """Label each row with one part; those without rows are left out.

        Args:
            codes: int [n], the part of each row as a place in ``names``; negative where it is unknown.
            names: Names of the parts.
            reason: What rows of unknown part lack.
        """
        rows = np.flatnonzero(codes >= 0)
        present, parts = np.unique(codes[rows], return_inverse=True)
        return cls(tuple(names[place] for place in present), rows, parts, codes < 0, reason)

    @property
    def known(self) -> int:
        """Number of rows that can be labelled."""
        return int(np.count_nonzero(~self.unknown))

    @property
    def counts(self) -> NDArray[np.intp]:
        """Rows in each part."""
        return np.bincount(self.parts, minlength=len(self.names))


@dataclass(frozen=True)
class Parts:
    """A method of cutting rows into parts.

    Attributes:
        kind: The split's name.
        noun: What one part is.
        rule: What rows of a part do, completing ``rows that …``; ``{}`` is the part's name.
        read: From rows to their labels.
    """

    kind: str
    noun: str
    rule: str
    read: Callable[[Matrix], Labels]


def leave_one_out(
    parts: Parts, wanted: str | None, *, needs_crystals: bool = False, columns: tuple[str, ...] = ()
) -> Split:
    """Return the split that holds one part out.

    Args:
        parts: The parts.
        wanted: The part to hold out; by default one is drawn among those that hold between ``SMALLEST_SHARE`` and
            ``LARGEST_SHARE`` of the rows.
        needs_crystals: Labels are read from crystals.
        columns: Columns that labels are read from.
    """

    def preferred(matrix: Matrix, seed: int) -> Iterator[Proposal]:
        labels = _read(parts, matrix)
        if wanted is not None and wanted not in labels.names:
            raise TrainingError(
                f"0 of {_rows(labels)} {parts.rule.format(wanted)}", f"rows by {parts.noun}: {_shares(labels)}"
            )
        for place in _drawn(parts, labels, seed) if wanted is None else [labels.names.index(wanted)]:
            yield _propose(parts, labels, place)

    def every(matrix: Matrix, seed: int) -> Iterator[Proposal]:  # noqa: ARG001 - nothing is drawn
        labels = _read(parts, matrix)
        for place in range(len(labels.names)):
            yield _propose(parts, labels, place)

    text = parts.kind if wanted is None else f"{parts.kind}:{wanted}"
    return Split(text, preferred, every, columns, needs_crystals, part=wanted)


def _read(parts: Parts, matrix: Matrix) -> Labels:
    labels = parts.read(matrix)
    if not labels.names:
        raise TrainingError(f"no {parts.noun} is known for {_rows(labels)}", "choose another split")
    return labels


def _drawn(parts: Parts, labels: Labels, seed: int) -> list[int]:
    """Return the parts of moderate size, shuffled by the seed."""
    share = labels.counts / labels.known
    moderate = np.flatnonzero((share >= SMALLEST_SHARE) & (share <= LARGEST_SHARE))
    if not len(moderate):
        raise TrainingError(
            f"no {parts.noun} holds {SMALLEST_SHARE:.0%} to {LARGEST_SHARE:.0%} of {_rows(labels)}, so that none is "
            f"drawn; rows by {parts.noun}: {_shares(labels)}",
            f"name the one to hold out: {parts.kind}:NAME",
        )
    places: list[int] = np.random.default_rng(seed).permutation(moderate).tolist()
    return places


def _propose(parts: Parts, labels: Labels, place: int) -> Proposal:
    test = np.isin(np.arange(len(labels.unknown)), labels.rows[labels.parts == place])
    name = labels.names[place]
    return Proposal(name, parts.rule.format(name), test, labels.unknown, labels.reason)


def _rows(labels: Labels) -> str:
    unknown = len(labels.unknown) - labels.known
    return f"{labels.known:,} rows" + (f" ({unknown:,} more are without {labels.reason})" if unknown else "")


def _shares(labels: Labels) -> str:
    counts = labels.counts
    order = np.argsort(-counts, kind="stable")
    shown = [f"{labels.names[place]} ({counts[place] / labels.known:.1%})" for place in order[:_SHOWN]]
    return ", ".join(shown) + (f", and {len(order) - _SHOWN:,} more" if len(order) > _SHOWN else "")


def read_number(text: str, last: int, wrong: str, hint: str) -> str:
    """Return a number as users type it, in one spelling.

    Raises:
        TrainingError: It is not a whole number from 1 to ``last``; with these words.
    """
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= last):
        raise TrainingError(wrong, hint)
    return str(int(text))
