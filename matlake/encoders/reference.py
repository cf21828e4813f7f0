"""Real compositions that every installation has, for holding encoders to their contract."""

from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.errors import FormulaError
from matlake.materials.formula import Composition, check_elements, element_fractions, parse_formula

SAMPLE: Final = Path(__file__).parents[1] / "data" / "expt_gap.parquet"


@cache
def reference_fractions() -> NDArray[np.float32]:
    """Return the compositions of the bundled band-gap sample, each once, in a fixed order without pattern.

    Returns:
        float32 [n, 86] with n of a few thousand; read-only.
    """
    from pyarrow import parquet

    found: dict[str, Composition] = {}
    for formula in parquet.read_table(SAMPLE, columns=["formula"])["formula"].to_pylist():
        try:
            composition = parse_formula(formula)
            check_elements(composition)
        except FormulaError:  # an element without a column: no use here
            continue
        found[composition.content_hash] = composition
    fractions = element_fractions([found[key] for key in sorted(found)])
    fractions.flags.writeable = False
    return fractions
