"""Whether an encoder takes a material, and if not, why: one rule for all that encode."""

from typing import Final, TypeAlias

import numpy as np

from matlake.materials.compositions import CompositionColumns, element_columns
from matlake.materials.crystal import CrystalColumns
from matlake.materials.periodic_table import SYMBOLS

Materials: TypeAlias = CompositionColumns | CrystalColumns

NO_CRYSTAL: Final = "no crystal structure"
"""Why an encoder of crystals does not take a material that is a composition."""


def rejections(materials: Materials, elements: tuple[str, ...], *, overlaps: bool = False) -> list[str | None]:
    """Say for each material why it cannot be encoded; None where it can.

    Args:
        materials: n compositions or crystals.
        elements: Symbols of the elements that the encoder takes.
        overlaps: Reject crystals whose atoms are on top of each other, too. Those of a dataset were checked by the
            import.

    Returns:
        n reasons.
    """
    reasons: list[str | None] = [None] * len(materials)
    known = element_columns(elements) >= 0
    for place in np.flatnonzero(~known[materials.numbers]):
        row = int(np.searchsorted(materials.offsets, place, side="right")) - 1
        symbol = SYMBOLS[materials.numbers[place] - 1]
        reasons[row] = f"element {symbol} is not among the {known.sum()} of this encoder"
    if overlaps and isinstance(materials, CrystalColumns):
        from matlake.materials.overlaps import find_overlaps  # numba takes a second to import

        for overlap in find_overlaps(materials):
            reasons[overlap.crystal] = overlap.describe(materials)
    return reasons
