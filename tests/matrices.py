"""Matrices made without a lake, for tests of what comes after reading."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from matlake.materials.crystal import CrystalColumns
from matlake.materials.formula import parse_formula
from matlake.materials.periodic_table import SYMBOLS
from matlake.regress.features.matrix import Matrix


def matrix_of(
    formulas: Sequence[str],
    y: Sequence[float] | NDArray[np.float64] | None = None,
    x: NDArray[np.float32] | None = None,
    columns: Mapping[str, NDArray[Any]] | None = None,
    crystals: CrystalColumns | None = None,
) -> Matrix:
    """Return a matrix whose features, unless given, are the element fractions."""
    compositions = [parse_formula(formula) for formula in formulas]
    fractions = np.zeros((len(formulas), len(SYMBOLS)), dtype=np.float32)
    for row, composition in enumerate(compositions):
        total = sum(amount for _, amount in composition.amounts)
        for z, amount in composition.amounts:
            fractions[row, z - 1] = amount / total
    return Matrix(
        x=fractions if x is None else x,
        y=np.arange(len(formulas), dtype=np.float64) if y is None else np.array(y, dtype=np.float64),
        fractions=fractions,
        dataset=np.full(len(formulas), "made"),
        material_id=np.array([f"made-{row}" for row in range(len(formulas))]),
        formula=np.array(formulas),
        groups=np.array([composition.content_hash for composition in compositions]),
        missing=(),
        sql="",
        columns=columns or {},
        crystals=crystals,
    )
