"""Kernel ridge regression on a baseline and an encoder: K = (1 - share)·K_baseline + share·K_encoder.

Both kernels are those of ``block_kernel_ridge``, with widths of their own. Width and ridge of the baseline are chosen
first; then share and width of the encoder, by the same leave-one-out errors. A share of zero is among the choices, so
an encoder that is of no use leaves the baseline as it is: more blocks cannot dilute it, and what helps is what they
hold.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from benchmarks.helpers.block_kernel_ridge import (
    RIDGES,
    WIDTHS,
    Blocks,
    Distances,
    Float,
    Rows,
    distances,
    kernel,
    leave_one_out,
    solved,
)

CHOOSING_ROWS: Final = 200
"""Training rows, drawn, that choose widths, ridge and share."""

SHARES: Final = (0.25, 0.5, 0.75)
_MIDDLE: Final = 5


@dataclass(frozen=True)
class _Choice:
    """What leave-one-out chose for a target: places among the widths, the ridge, the share, and the error."""

    width: int
    ridge: float
    error: float
    added_width: int = _MIDDLE
    share: float = 0.0


class MixedKernelRidge:
    """The baseline on the rows of one fold, alone and with encoders."""

    def __init__(self, baseline: Blocks, y: Float, train: Rows, test: Rows) -> None:
        """Choose the baseline's width and ridge for each target.

        Args:
            baseline: float [n, d] each.
            y: float64 [n, targets], as they are to be learned.
            train: Rows to train on.
            test: Rows to predict.
        """
        self._train, self._test = train, test
        self._within, self._across = distances(baseline, train, test)
        self._mean = y[train].mean(axis=0)
        self._target = y[train] - self._mean
        self._drawn = np.random.default_rng(0).permutation(len(train))[:CHOOSING_ROWS]
        self._few = self._some(self._within)
        self._chosen = [self._choose(place) for place in range(y.shape[1])]

    def predict(self) -> Float:
        """Return what the baseline alone predicts, float64 [test rows, targets]."""
        return np.column_stack([self._solve(place, one, None) for place, one in enumerate(self._chosen)])

    def predict_with(self, added: Blocks) -> Float:
        """Return the same with an encoder's blocks beside it."""
        parts = distances(added, self._train, self._test)
        few = self._some(parts[0])
        found = [self._mix(place, one, few) for place, one in enumerate(self._chosen)]
        return np.column_stack([self._solve(place, one, parts) for place, one in enumerate(found)])

    def _some(self, within: Distances) -> Distances:
        return [block[np.ix_(self._drawn, self._drawn)] for block in within]

    def _left_out(self, place: int, gram: Float) -> tuple[float, float]:
        """Return the best ridge of a target, and its leave-one-out error."""
        ridges, errors = leave_one_out(gram, self._target[self._drawn][:, place : place + 1], RIDGES)
        return float(ridges[0]), float(errors[0])

    def _choose(self, place: int) -> _Choice:
        """Go from the middle width until both neighbours are worse."""

        def at(width: int) -> _Choice:
            return _Choice(width, *self._left_out(place, kernel(self._few, WIDTHS[width])))

        return _descend(at(_MIDDLE), lambda one, step: at(one.width + step), lambda one: one.width)

    def _mix(self, place: int, base: _Choice, added: Distances) -> _Choice:
        """Choose share and width of an encoder; the baseline alone stays where nothing is better."""
        own = kernel(self._few, WIDTHS[base.width])

        def at(width: int, share: float) -> _Choice:
            gram = (1 - share) * own + share * kernel(added, WIDTHS[width])
            return _Choice(base.width, *self._left_out(place, gram), width, share)

        best = min((at(base.width, share) for share in SHARES), key=lambda one: one.error)
        best = _descend(best, lambda one, step: at(one.added_width + step, one.share), lambda one: one.added_width)
        others = [at(best.added_width, share) for share in SHARES if abs(share - best.share) == SHARES[0]]
        return min((base, best, *others), key=lambda one: one.error)

    def _solve(self, place: int, one: _Choice, added: tuple[Distances, Distances] | None) -> Float:
        within, across = (kernel(part, WIDTHS[one.width]) for part in (self._within, self._across))
        if added is not None and one.share:
            others = (kernel(part, WIDTHS[one.added_width]) for part in added)
            within, across = (
                (1 - one.share) * own + one.share * other for own, other in zip((within, across), others, strict=True)
            )
        predicted: Float = self._mean[place] + across @ solved(within, one.ridge, self._target[:, place])
        return predicted


def _descend(
    start: _Choice, neighbour: Callable[[_Choice, int], _Choice], width_of: Callable[[_Choice], int]
) -> _Choice:
    """Go along the widths, down and up, as long as the error falls."""
    best = start
    for step in (-1, 1):
        while 0 <= width_of(best) + step < len(WIDTHS):
            following = neighbour(best, step)
            if following.error >= best.error:
                break
            best = following
    return best
