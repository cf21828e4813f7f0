"""Prediction intervals whose width follows how hard a prediction is.

Normalised conformal prediction (Papadopoulos, Gammerman, Vovk, Conf. on Artificial Intelligence and Applications 64,
2008): half a width is an estimate of difficulty times a quantile that ``conformal`` finds. The estimate is the mean
residual of the nearest training rows times a factor that grows with the out-of-distribution score, because errors do.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.targets.bounds import UNBOUNDED, Bounds
from matlake.regress.uncertainty.reference_set import Surroundings

_BASE: Final = 0.5
"""Added to the out-of-distribution score, so that the middle of the training set has a width as well."""


@dataclass(frozen=True)
class Interval:
    """How intervals are made.

    Attributes:
        level: Share of measured values that they hold, on data exchangeable with the training rows.
        quantile: Half a width, in units of the difficulty.
        floor: Added to local residuals, in the target's unit.
        calibration_rows: Rows whose residuals it rests on.
        widest: Largest half of a width, in the target's unit: the range of the training labels, or the largest residual
            if that is more. None for a head older than it.
    """

    level: float
    quantile: float
    floor: float
    calibration_rows: int
    widest: float | None = None

    def half_widths(self, surroundings: Surroundings) -> NDArray[np.float64]:
        """Return half the width of the intervals of n points, float64 [n], in the target's unit."""
        widths = self.quantile * difficulty(surroundings, self.floor)
        return widths if self.widest is None else np.minimum(widths, self.widest)

    def ends(
        self, values: NDArray[np.float64], surroundings: Surroundings, bounds: Bounds = UNBOUNDED
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the lower and the upper ends of the intervals around n predictions, float64 [n] each.

        Args:
            values: float64 [n], predictions in the target's unit.
            surroundings: The training rows around them.
            bounds: Of what is possible; the ends keep to them.
        """
        half_widths = self.half_widths(surroundings)
        return bounds.limit(values - half_widths), bounds.limit(values + half_widths)


def difficulty(surroundings: Surroundings, floor: float) -> NDArray[np.float64]:
    """Estimate how far predictions may be off, float64 [n], up to a common factor.

    Args:
        surroundings: The training rows around n points.
        floor: Added to local residuals, in the target's unit: small errors of a few neighbours may be luck.
    """
    return (surroundings.local_residuals + floor) * (_BASE + surroundings.scores)
