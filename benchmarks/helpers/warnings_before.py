"""Intervals and warnings as they were before the expected error: what ``trust.py`` compares with."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.features.matrix import Matrix
from matlake.regress.heads.measure import Measured
from matlake.regress.splits import HeldOut
from matlake.regress.targets.target_space import TargetSpace
from matlake.regress.uncertainty.applicability import agreement_limit, disagreement
from matlake.regress.uncertainty.conformal import conformal_quantile
from matlake.regress.uncertainty.fit_reference import choose_reference
from matlake.regress.uncertainty.intervals import difficulty
from matlake.regress.uncertainty.nearest import nearest_rows
from matlake.regress.uncertainty.reference_set import LOCAL, Surroundings

LEVEL: Final = 0.9
FLOOR: Final = 0.25


@dataclass(frozen=True)
class Before:
    """Of n test rows.

    Attributes:
        half_widths: float64 [n], in the target's unit.
        held: bool [n], whether the interval holds the measured value.
        warned: bool [n].
    """

    half_widths: NDArray[np.float64]
    held: NDArray[np.bool_]
    warned: NDArray[np.bool_]


def before(
    matrix: Matrix, held_out: HeldOut, found: Measured, outside: NDArray[np.bool_], space: TargetSpace
) -> Before:
    """Calibrate intervals of equal halves on the same out-of-fold errors, and warn where neighbours disagree.

    Args:
        matrix: All rows.
        held_out: Which of them are trained and tested on.
        found: The head.
        outside: bool [n], test rows with another reason for a warning.
        space: Of the target: as before, intervals know its bounds only.
    """
    reference, test = found.reference, found.test
    chosen = choose_reference(matrix, held_out.train, 0)
    residuals = reference.residual
    known = np.isfinite(residuals)
    distances, near = nearest_rows(
        reference.coordinates[known], reference.coordinates, LOCAL, (chosen.groups[known], chosen.groups)
    )
    floor = FLOOR * float(residuals[known].mean())
    quantile = conformal_quantile(residuals[known] / difficulty(Surroundings(distances, near, residuals), floor), LEVEL)
    places = nearest_rows(chosen.projection.apply(matrix.x[held_out.test]), reference.coordinates, LOCAL)
    around = Surroundings(*places, residuals)
    half = np.minimum(quantile * difficulty(around, floor), max(np.ptp(reference.value), residuals[known].max()))
    lower, upper = (space.bounds.limit(test.predicted + sign * half) for sign in (-1.0, 1.0))
    limit = agreement_limit(reference.value, residuals)
    nearby = zip(test.predicted, *around.label_ranges(reference.value), strict=True)
    differ = np.array([bool(disagreement(value, low, high, limit, "")) for value, low, high in nearby])
    return Before((upper - lower) / 2.0, (lower <= test.y) & (test.y <= upper), outside | differ)
