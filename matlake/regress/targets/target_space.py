"""What a fit has to know of its target: the scale on which it is learned, and the values that it can have."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.targets.bounds import UNBOUNDED, Bounds
from matlake.regress.targets.transforms import Transform


@dataclass(frozen=True)
class TargetSpace:
    """The scale and the bounds of a target.

    Attributes:
        transform: What is learned in place of the property.
        bounds: That predictions keep to, in the property's unit.
    """

    transform: Transform = Transform.NONE
    bounds: Bounds = UNBOUNDED

    def to_fit(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what is fitted, float64 [n], for values of the property float64 [n], within its domain."""
        return self.transform.forward(values)

    def to_property(self, fitted: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values of the property within its bounds, float64 [n], for what was fitted float64 [n]."""
        return self.bounds.limit(self.transform.inverse(fitted))


PLAIN: Final = TargetSpace()
"""A property as it is, without bounds."""
