"""Charge neutrality of a few compositions: all sums of charges, added up by numpy. ``neutrality`` takes any number."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

ROUNDING: Final = 2.0**-24 * (1 + 1e-6)
"""Largest relative rounding error of a float32, and a little for sums in float64."""

FEW: Final = 64
"""Compositions that are worth it: importing numba takes as long as thousands."""

_MOST_SUMS: Final = 1 << 14
"""Combinations of a composition, a tenth of a millisecond of work."""


def neutral_by_sums(
    fractions: NDArray[np.float32], charges: NDArray[np.float64], offsets: NDArray[np.int64]
) -> NDArray[np.bool_] | None:
    """Return which compositions can be neutral, bool [n], as ``neutrality.neutral_rows`` does.

    None where one of them has too many combinations of oxidation states.

    Args:
        fractions: float32 [n, e].
        charges: See ``OxidationStates``.
        offsets: Likewise.
    """
    neutral = np.ones(len(fractions), dtype=np.bool_)
    for row, weights in enumerate(fractions):
        elements = np.flatnonzero(weights > 0).tolist()
        if len(elements) <= 1:
            continue
        if math.prod(int(offsets[element + 1] - offsets[element]) for element in elements) > _MOST_SUMS:
            return None
        sums, total = np.zeros(1), 0.0
        for element in elements:
            shifts = np.float64(weights[element]) * charges[offsets[element] : offsets[element + 1]]
            total += float(np.abs(shifts).max())
            sums = np.add.outer(sums, shifts).reshape(-1)
        neutral[row] = np.abs(sums).min() <= ROUNDING * total
    return neutral
