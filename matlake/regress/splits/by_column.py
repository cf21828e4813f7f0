"""Splits by a column: leave out all rows of a laboratory, a prototype, a dataset, or any column of a table."""

import math
from typing import Any

import numpy as np

from matlake.errors import TrainingError
from matlake.regress.features.matrix import Matrix
from matlake.regress.splits.leave_one_out import Labels, Parts, leave_one_out
from matlake.regress.splits.split import Split


def column_split(argument: str | None) -> Split:
    """Return the split that tests the rows that share a value of a column.

    Leave-one-group-out: Roberts et al., Ecography 40, 913 (2017).
    """
    name, colon, value = (argument or "").partition(":")
    if not name or bool(colon) != bool(value):
        raise TrainingError(f"'column:{argument or ''}' does not name a column", "column:NAME or column:NAME:VALUE")

    def read(matrix: Matrix) -> Labels:
        texts = np.array(["" if _is_null(cell) else _written(cell) for cell in matrix.columns[name].tolist()])
        names, codes = np.unique(texts, return_inverse=True)
        unknown = int(names[0] == "")
        return Labels.of_codes(codes - unknown, names[unknown:].tolist(), name)

    parts = Parts(f"column:{name}", f"value of {name}", f"have {name} {{}}", read)
    return leave_one_out(parts, value or None, columns=(name,))


def _is_null(cell: Any) -> bool:
    return cell is None or cell == "" or (isinstance(cell, float) and math.isnan(cell))


def _written(cell: Any) -> str:
    """Write a value as it is typed: whole numbers without a point."""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)
