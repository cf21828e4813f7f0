"""What a fit has to know of its target: the scale on which it is learned, and the values that it can have."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.metrics import log_loss
from matlake.regress.targets.bounds import UNBOUNDED, Bounds
from matlake.regress.targets.kinds import Kind
from matlake.regress.targets.link import Link, fit_link
from matlake.regress.targets.transforms import Transform


@dataclass(frozen=True)
class TargetSpace:
    """The scale and the bounds of a target.

    Attributes:
        transform: What is learned in place of the property.
        bounds: That predictions keep to, in the property's unit.
        kind: Whether the property is a number, or yes or no: then it is fitted as 1 and 0.
        link: Of a yes/no property: makes probabilities of what was fitted. Without it, predictions are scores, whose
            scale means nothing.
    """

    transform: Transform = Transform.NONE
    bounds: Bounds = UNBOUNDED
    kind: Kind = Kind.NUMBER
    link: Link | None = None

    def to_fit(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what is fitted, float64 [n], for values of the property float64 [n], within its domain."""
        return self.transform.forward(values)

    def to_property(self, fitted: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values of the property within its bounds, float64 [n], for what was fitted float64 [n]."""
        if self.link is not None:
            return self.link.probabilities(fitted)
        return self.bounds.limit(self.transform.inverse(fitted))

    def loss(self, y: NDArray[np.float64], predicted: NDArray[np.float64]) -> float:
        """Return what a search makes small.

        Of a number it is the mean absolute error. Of scores of a yes/no property it is the log loss of the
        probabilities that the best link makes of them: scores are compared by what they know, on whatever scale.

        Args:
            y: float64 [n], of the property.
            predicted: float64 [n], without a link.
        """
        if self.kind is Kind.NUMBER:
            return float(np.mean(np.abs(predicted - y)))
        return log_loss(y, fit_link(predicted, y).probabilities(predicted))


PLAIN: Final = TargetSpace()
"""A property as it is, without bounds."""
