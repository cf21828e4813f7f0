"""The applicability domain of a head: known elements, in known combinations, near the training materials.

``evaluate extrapolation`` measures how well this rule separates small errors from large ones. A combination of elements
is an electronic motif in the sense of the decoupled-transfer study (arXiv 2602.18054), taken to be the set of blocks of
the periodic table that they are in.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.materials.periodic_table import BLOCK_OF, BLOCKS, SYMBOLS
from matlake.materials.units import unit_of
from matlake.regress.regressors.feature_rows import Features, row_blocks

FEW: Final = 10
"""An element, or a set of blocks, counts as outside the training set if fewer training rows hold it."""

UNKNOWN: Final = 1
"""Where the expected error is known, an element or a set of blocks is a reason by itself only if no training row holds
it. Rare ones enter the expected error; on 445 exfoliation energies they alone were in 40 % of the test rows."""

FARTHEST: Final = 1.0
"""Largest out-of-distribution score of a material near the training materials."""

DISAGREEING: Final = 1.5
DISAGREEING_ERRORS: Final = 4.0
"""Neighbours disagree if their values differ by more than so many standard deviations of all values, and by more than
so many mean errors. On ten real properties that is so for 14 to 33 % of test rows, whose errors are 1.2 to 6.4 times
those of the others; either limit alone warns of half the rows of some properties.
"""

OUTSIDE_NEIGHBOURS: Final = 0.5
"""A value further outside those of its neighbours, in units of that limit, disagrees with them: up to 2 % of test rows
of the same properties, with errors of 3 to 12 times those of the rest in all but one.
"""


def element_counts(fractions: Features) -> NDArray[np.int64]:
    """Return the number of rows that hold an element, int64 [118].

    Args:
        fractions: Element fractions, float32 [n, 118].
    """
    counts: NDArray[np.int64] = np.sum([np.count_nonzero(block, axis=0) for _, block in row_blocks(fractions)], axis=0)
    return counts


def block_set_counts(fractions: Features) -> NDArray[np.int64]:
    """Return the number of rows of each set of blocks, as ``block_sets`` has them, int64 [sets].

    Args:
        fractions: Element fractions, float32 [n, 118].
    """
    sets = [np.bincount(block_sets(block), minlength=1 << len(BLOCKS)) for _, block in row_blocks(fractions)]
    counts: NDArray[np.int64] = np.sum(sets, axis=0)
    return counts


def element_rows(fractions: Features) -> dict[str, int]:
    """Count the rows that hold an element.

    Args:
        fractions: Element fractions, float32 [n, 118].
    """
    counts = element_counts(fractions)
    return {symbol: int(count) for symbol, count in zip(SYMBOLS, counts, strict=True) if count}


def block_rows(fractions: Features) -> dict[str, int]:
    """Count the rows of each set of blocks, written in the order of ``BLOCKS``, such as ``spd``.

    Args:
        fractions: Element fractions, float32 [n, 118].
    """
    counts = block_set_counts(fractions)
    return {
        "".join(block for place, block in enumerate(BLOCKS) if found >> place & 1): int(count)
        for found, count in enumerate(counts)
        if count
    }


def block_sets(fractions: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the set of blocks of each row as bits in the order of ``BLOCKS``, int64 [n].

    Args:
        fractions: Element fractions, float32 [n, 118].
    """
    blocks = np.array([BLOCK_OF[symbol] for symbol in SYMBOLS])
    present = np.stack([(fractions[:, blocks == block] > 0).any(axis=1) for block in BLOCKS], axis=1)
    bits: NDArray[np.int64] = present @ (1 << np.arange(len(BLOCKS)))
    return bits


def blocks_of(symbols: Sequence[str]) -> str:
    """Return the set of blocks of a material's elements, as ``block_rows`` writes it."""
    present = {BLOCK_OF[symbol] for symbol in symbols}
    return "".join(block for block in BLOCKS if block in present)


def elements_outside_training(
    symbols: Sequence[str], element_rows: Mapping[str, int], few: int = FEW
) -> tuple[str, ...]:
    """Return the elements that fewer than a number of training rows hold.

    Args:
        symbols: Elements of a material.
        element_rows: Number of training rows that hold an element.
        few: That number.
    """
    return tuple(symbol for symbol in symbols if element_rows.get(symbol, 0) < few)


def low_confidence_reasons(
    symbols: Sequence[str],
    ood_score: float,
    element_rows: Mapping[str, int],
    block_rows: Mapping[str, int],
    few: int = FEW,
) -> tuple[str, ...]:
    """Return why a prediction deserves little confidence; nothing inside the applicability domain.

    Args:
        symbols: Elements of the material.
        ood_score: Its out-of-distribution score.
        element_rows: Number of training rows that hold an element.
        block_rows: Number of training rows of each set of blocks; empty if unknown, which skips that check.
        few: Training rows below which an element, or a set of blocks, counts as outside the training set.
    """
    found = [
        f"{_materials(element_rows.get(symbol, 0))} {symbol}"
        for symbol in elements_outside_training(symbols, element_rows, few)
    ]
    blocks = blocks_of(symbols)
    if block_rows and block_rows.get(blocks, 0) < few:
        motif = f"elements of the blocks {', '.join(blocks)} together" if len(blocks) > 1 else f"only {blocks} elements"
        found.append(f"{_materials(block_rows.get(blocks, 0))} {motif}")
    if ood_score > FARTHEST:
        found.append(f"the out-of-distribution score is above {FARTHEST:g}")
    return tuple(found)


def outside_ranges(values: Mapping[str, float], ranges: Mapping[str, Sequence[float]]) -> tuple[str, ...]:
    """Return which columns have a value below or above those of all training rows.

    Args:
        values: By column, of an input.
        ranges: By column, smallest, middle and largest value of the training rows.
    """
    return tuple(
        f"{column} is {value:g}; training rows have "
        f"{value_range(ranges[column][0], ranges[column][-1], unit_of(column))}"
        for column, value in values.items()
        if not ranges[column][0] <= value <= ranges[column][-1]
    )


def agreement_limit(labels: NDArray[np.float64], residuals: NDArray[np.float32]) -> float:
    """Return by how much the values of the nearest training materials may differ before they disagree.

    Args:
        labels: float64 [m], of the reference rows.
        residuals: float32 [m], out-of-fold; NaN if there is none. In the same unit.
    """
    return max(DISAGREEING * float(np.std(labels)), DISAGREEING_ERRORS * float(np.nanmean(residuals)))


def disagreement(value: float, low: float, high: float, limit: float, unit: str) -> tuple[str, ...]:
    """Return that the nearest training materials disagree, among themselves or with the prediction, if they do.

    Args:
        value: The prediction.
        low: Smallest measured value of the nearest training materials.
        high: Largest.
        limit: Of ``agreement_limit``.
        unit: Of all of them.
    """
    if high - low > limit:
        return (f"the nearest training materials differ: {value_range(low, high, unit)}",)
    if not low - OUTSIDE_NEIGHBOURS * limit <= value <= high + OUTSIDE_NEIGHBOURS * limit:
        return (f"the value is far from those of the nearest training materials: {value_range(low, high, unit)}",)
    return ()


def value_range(low: float, high: float, unit: str) -> str:
    """Return two values of a unit as a range, or the one that both are."""
    ends = f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
    return f"{ends} {unit}".rstrip()


def _materials(rows: int) -> str:
    if not rows:
        return "no training material contains"
    return f"only {rows} training materials contain" if rows > 1 else "only one training material contains"
