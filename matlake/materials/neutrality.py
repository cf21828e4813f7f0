"""Whether charges can add up to zero, decided exactly and in bounded time.

Each element takes one of its oxidation states, so a compound of many elements has exponentially many sums of charges.
They are met in the middle: the elements are dealt to two sides, and a sum of one side is looked for that cancels a sum
of the other. Equal sums are kept once, and sums that the remaining elements cannot cancel are dropped. Before a side
grows, the remaining elements are tried in the states that come nearest to cancelling: where there are very many
combinations, this finds a neutral one early. The search ends when a side would have more than 2^18 sums: the pairs of
both sides then lie far closer than rounding, and where none of them cancels, whole-number amounts forbid it.
"""

from typing import Final

import numpy as np

from matlake.materials.charge_sums import ROUNDING
from matlake.materials.kernels import kernel

_SAME: Final = 1e-13
"""Sums that differ by less are one: rounding in float64."""

_MOST_SUMS: Final = 1 << 18
"""Sums a side; all combinations are covered where there are no more than 2^29, milliseconds of work."""


@kernel
def neutral_rows(fractions, charges, offsets, neutral):
    """Fill ``neutral`` [n]; see ``OxidationStates.can_be_neutral``."""
    rows, columns = fractions.shape
    elements = np.empty(columns, dtype=np.int64)
    for row in range(rows):
        count = 0
        for column in range(columns):
            if fractions[row, column] > 0:
                elements[count] = column
                count += 1
        if count <= 1:
            neutral[row] = True
            continue
        neutral[row] = _cancels(fractions[row], elements[:count], charges, offsets)


@kernel
def _cancels(fractions, elements, charges, offsets):
    """Say whether charges of some elements, weighted by their fractions, can add up to zero."""
    fixed, lowest, highest, total, several = 0.0, 0.0, 0.0, 0.0, 0
    for element in elements:
        weight = np.float64(fractions[element])
        least = most = charges[offsets[element]]
        for place in range(offsets[element] + 1, offsets[element + 1]):
            least, most = min(least, charges[place]), max(most, charges[place])
        lowest += weight * least
        highest += weight * most
        total += weight * max(abs(least), abs(most))
        if offsets[element + 1] - offsets[element] == 1:
            fixed += weight * least
        else:
            several += 1
    tolerance = ROUNDING * total
    if lowest > tolerance or highest < -tolerance:
        return False
    if several == 0:
        return True
    open_elements = np.empty(several, dtype=np.int64)
    weights = np.empty(several, dtype=np.float64)
    place = 0
    for element in elements:
        if offsets[element + 1] - offsets[element] > 1:
            open_elements[place] = element
            weights[place] = fractions[element]
            place += 1
    order = np.argsort(-weights)
    return _meets(fixed, open_elements[order], weights[order], charges, offsets, tolerance)


@kernel
def _meets(fixed, elements, weights, charges, offsets, tolerance):
    """Say whether ``fixed`` and the charges of elements with several states can add up to zero.

    The heavy elements come first: the light ones then have fine steps left to cancel what remains.
    """
    count = len(elements)
    lowest, highest, tried = np.zeros(count + 1), np.zeros(count + 1), np.zeros(count + 1)
    running = fixed
    for i in range(count):
        states = charges[offsets[elements[i]] : offsets[elements[i] + 1]]
        tried[i] = weights[i] * states[np.argmin(np.abs(running + weights[i] * states))]
        running += tried[i]
    for i in range(count - 1, -1, -1):  # from here on: of this element and all behind it
        states = charges[offsets[elements[i]] : offsets[elements[i] + 1]]
        tried[i] += tried[i + 1]
        lowest[i] = lowest[i + 1] + weights[i] * states.min()
        highest[i] = highest[i + 1] + weights[i] * states.max()
    left, right = np.array([fixed]), np.zeros(1)
    for i in range(count):
        if _pair_exists(left, right, tried[i], tolerance):
            return True
        states = weights[i] * charges[offsets[elements[i]] : offsets[elements[i] + 1]]
        if len(left) > len(right):
            left, right = right, left
        if len(left) * len(states) > _MOST_SUMS:
            return False
        low, high = lowest[i + 1] - tolerance, highest[i + 1] + tolerance
        left = _shifted(left, states, -right[-1] - high, -right[0] - low)
        if len(left) == 0:
            return False
    return _pair_exists(left, right, 0.0, tolerance)


@kernel
def _shifted(sums, shifts, low, high):
    """Return the distinct sums of one of ``sums`` and one of ``shifts`` from low to high; ascending, as are both."""
    places = np.zeros(len(shifts), dtype=np.int64)
    found = np.empty(len(sums) * len(shifts), dtype=np.float64)
    count = 0
    while True:
        least, source = np.inf, -1
        for i in range(len(shifts)):
            if places[i] < len(sums) and sums[places[i]] + shifts[i] < least:
                least, source = sums[places[i]] + shifts[i], i
        if source < 0 or least > high:
            return found[:count].copy()
        places[source] += 1
        if least >= low and (count == 0 or least - found[count - 1] > _SAME):
            found[count] = least
            count += 1


@kernel
def _pair_exists(left, right, shift, tolerance):
    """Say whether a sum of one side, one of the other and ``shift`` add up to zero; both sides ascend."""
    i, j = 0, len(right) - 1
    while i < len(left) and j >= 0:
        total = left[i] + right[j] + shift
        if total > tolerance:
            j -= 1
        elif total < -tolerance:
            i += 1
        else:
            return True
    return False
