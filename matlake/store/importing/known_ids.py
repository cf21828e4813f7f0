"""Which ids an import has met: 16 bytes each, where a set of texts takes ten times as much."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

_LONGEST: Final = 1 << 19
"""Runs above this length are not merged any more: that would take several times their memory."""

_Run = tuple[NDArray[np.int64], NDArray[np.int64]]


class KnownIds:
    """A set of ids, each as 128 bits of two hashes, in sorted runs that are merged when they are of like length.

    Of 10^9 ids, two have the same bits by chance with a probability of 10^-21.
    """

    def __init__(self) -> None:
        """Know none."""
        self._runs: list[_Run] = []

    def add(self, ids: Sequence[str]) -> list[int]:
        """Return the places of ids that were known before or stand earlier in the list, and know all of them."""
        first = np.fromiter(map(hash, ids), np.int64, len(ids))
        second = np.fromiter((hash(f"{one}\0") for one in ids), np.int64, len(ids))
        order = np.lexsort((np.arange(len(ids)), second, first))
        first, second = first[order], second[order]
        known = np.zeros(len(ids), bool)
        known[1:] = (first[1:] == first[:-1]) & (second[1:] == second[:-1])
        for run in self._runs:
            known |= _are_in(first, second, run)
        self._runs.append((first[~known], second[~known]))
        while len(self._runs) > 1 and len(self._runs[-2][0]) <= min(2 * len(self._runs[-1][0]), _LONGEST):
            self._runs.append(_merged(self._runs.pop(), self._runs.pop()))
        return sorted(order[known].tolist())


def _are_in(first: NDArray[np.int64], second: NDArray[np.int64], run: _Run) -> NDArray[np.bool_]:
    """Return which pairs of hashes are in a run; first hashes that are equal by chance stand beside each other."""
    found = np.zeros(len(first), bool)
    places = np.searchsorted(run[0], first)
    left = np.flatnonzero(places < len(run[0]))
    while len(left):
        left = left[run[0][places[left]] == first[left]]
        found[left] |= run[1][places[left]] == second[left]
        places[left] += 1
        left = left[places[left] < len(run[0])]
    return found


def _merged(one: _Run, other: _Run) -> _Run:
    first, second = (np.concatenate(pair) for pair in zip(one, other, strict=True))
    order = np.argsort(first, kind="stable")  # merges runs in linear time
    return first[order], second[order]
