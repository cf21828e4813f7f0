"""Prediction intervals whose width follows how hard a prediction is.

Normalised conformal prediction (Papadopoulos, Gammerman, Vovk, Conf. on Artificial Intelligence and Applications 64,
2008): an end is as far from the prediction as an estimate of difficulty times a quantile that ``conformal`` finds. The
estimate is the expected absolute error. Errors to either side have a quantile of their own, so that measured values are
as often above an interval as below (Linusson, Johansson, Löfström, Advances in Knowledge Discovery and Data Mining,
LNCS 8443, 224, 2014). Both are on the scale on which the target is fitted: with a logarithm, an interval is a factor.

Heads older than the expected error have intervals of equal halves. Their difficulty is the mean residual of the nearest
training rows times a factor that grows with the out-of-distribution score.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.targets.bounds import UNBOUNDED, Bounds
from matlake.regress.targets.target_space import PLAIN, TargetSpace
from matlake.regress.uncertainty.reference_set import Surroundings

_BASE: Final = 0.5
"""Added to the out-of-distribution score, so that the middle of the training set has a width as well."""


@dataclass(frozen=True)
class Interval:
    """How intervals are made.

    Attributes:
        level: Share of measured values that they hold, on data exchangeable with the training rows.
        quantile: Half a width, in units of the difficulty; of intervals with two quantiles their mean.
        floor: Added to local residuals, in the target's unit, for a head older than the expected error; else 0.
        calibration_rows: Rows whose residuals it rests on.
        widest: Largest distance of an end from the prediction, on the scale of the residuals: the range of the training
            labels, or the largest residual if that is more. None for a head older than it.
        below: Distance of the lower end, in units of the expected error on the fitted scale; None for a head older than
            the expected error.
        above: Distance of the upper end, likewise.
    """

    level: float
    quantile: float
    floor: float
    calibration_rows: int
    widest: float | None = None
    below: float | None = None
    above: float | None = None

    def half_widths(self, surroundings: Surroundings) -> NDArray[np.float64]:
        """Return half the width of the intervals of n points, float64 [n], for a head older than the expected error."""
        widths = self.quantile * difficulty(surroundings, self.floor)
        return widths if self.widest is None else np.minimum(widths, self.widest)

    def ends(
        self, values: NDArray[np.float64], surroundings: Surroundings, bounds: Bounds = UNBOUNDED
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the lower and the upper ends of intervals of a head older than the expected error, float64 [n] each.

        Args:
            values: float64 [n], predictions in the target's unit.
            surroundings: The training rows around them.
            bounds: Of what is possible; the ends keep to them.
        """
        half_widths = self.half_widths(surroundings)
        return bounds.limit(values - half_widths), bounds.limit(values + half_widths)

    def ends_by(
        self, predicted: NDArray[np.float64], expected: NDArray[np.float64], space: TargetSpace = PLAIN
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the lower and the upper ends of the intervals around n predictions, in the unit, float64 [n] each.

        Args:
            predicted: float64 [n], on the fitted scale.
            expected: float64 [n], expected absolute errors there.
            space: Of the target; the ends keep to its bounds.
        """
        widest = np.inf if self.widest is None else self.widest
        down, up = (np.minimum((factor or 0.0) * expected, widest) for factor in (self.below, self.above))
        return space.to_property(predicted - down), space.to_property(predicted + up)


def difficulty(surroundings: Surroundings, floor: float) -> NDArray[np.float64]:
    """Estimate how far predictions may be off, float64 [n], up to a common factor.

    Args:
        surroundings: The training rows around n points.
        floor: Added to local residuals, in the target's unit: small errors of a few neighbours may be luck.
    """
    return (surroundings.local_residuals + floor) * (_BASE + surroundings.scores)
