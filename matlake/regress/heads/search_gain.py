"""What a longer search for a model would gain, from what the search has found so far."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

_HALVES: Final = 20
_SHARE: Final = 0.5
"""What a doubling of the draws brings beside the doubling before it: an assumption. Within searches of 45 fits it was
0.8, with a 95 % interval of 0.5 to 1.4 (docs/science/models.md); longer searches were not measured."""

_FEWEST: Final = 4
"""Draws from which a trend can be read."""


def expected_gain(
    error: Callable[[Sequence[int]], float], defaults: Sequence[int], drawn: Sequence[int | None], times: float
) -> float | None:
    """Estimate the share by which the error falls if parameters are drawn several times as often.

    The error is that of the best mean of the candidates found. With a random half of the draws it would have been
    larger (Dodge et al., Proc. EMNLP-IJCNLP 2019, 2185, estimate errors of shorter searches so). What the second half
    brought is taken to shrink with every further doubling.

    Args:
        error: Gives the error of the best mean of candidates with some numbers.
        defaults: Numbers of the candidates that every search begins with.
        drawn: Numbers of those that were drawn; None for one that was dropped.
        times: Draws of the longer search, in multiples of these.

    Returns:
        The share, not negative; None where too few were drawn.
    """
    if len(drawn) < _FEWEST:
        return None
    rng, half = np.random.default_rng(0), len(drawn) // 2
    now = error([*defaults, *(one for one in drawn if one is not None)])
    halves = []
    for _ in range(_HALVES):
        picked = [drawn[place] for place in np.sort(rng.permutation(len(drawn))[:half])]
        halves.append(error([*defaults, *(one for one in picked if one is not None)]))
    doubling = 1.0 - now / float(np.mean(halves))
    return max(0.0, _SHARE * doubling * float(np.log2(times)))
