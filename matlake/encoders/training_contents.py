"""What an encoder was trained on, as content hashes: against leakage into the tests of heads on its vectors."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

RANDOM_SHARES: Final = (0.70, 0.15, 0.15)
"""Of train, val and test, where nothing else is said."""


@dataclass(frozen=True)
class TrainingContents:
    """Contents of the rows that an encoder's weights were fitted to.

    Attributes:
        compositions: Hashes of their compositions.
        crystals: Hashes of their crystals; none for an encoder of compositions.
        chosen_by: Hashes of the compositions that chose the epoch.
    """

    compositions: frozenset[str]
    crystals: frozenset[str] = frozenset()
    chosen_by: frozenset[str] = frozenset()


def random_parts(
    composition_hashes: Iterable[str], seed: int, shares: tuple[float, float, float] = RANDOM_SHARES
) -> list[str]:
    """Assign compositions to ``train``, ``val`` and ``test``, as pretraining does where no column says it.

    The part depends on the seed and the composition alone: equal compositions never stand on both sides of the split, a
    row's part does not change when the table grows or is sorted, and a card alone shows which compositions its encoder
    cannot have been trained on.

    Args:
        composition_hashes: Content hashes of compositions.
        seed: Of the split.
        shares: Shares of train, val and test.
    """
    train, val, _ = shares
    parts = []
    for composition in composition_hashes:
        digest = hashlib.blake2b(f"{seed}:{composition}".encode(), digest_size=8).digest()
        u = int.from_bytes(digest) / 2**64
        parts.append("train" if u < train else "val" if u < train + val else "test")
    return parts
