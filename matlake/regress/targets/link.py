"""From the score of a regressor that was fitted to 0 and 1 to a probability of yes.

A regressor of squared errors ranks materials well, and its scores are no probabilities: those of a kernel machine
leave 0 to 1, those of trees are drawn to the middle. A logistic function of the score, fitted to scores of rows that
the regressor was not fitted to, makes them so (Platt, Advances in Large Margin Classifiers, 61 (1999)).
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

_STEPS: Final = 100
_SMALLEST_STEP: Final = 1e-10
_RIDGE: Final = 1e-9
_ENOUGH: Final = 1e-4
"""Share of the decrease that the slope promises, which a step has to reach."""


@dataclass(frozen=True)
class Link:
    """p = 1 / (1 + exp(-(slope · score + intercept))).

    Attributes:
        slope: Not negative, so that a higher score is never less probable.
        intercept: Log odds at a score of 0.
    """

    slope: float
    intercept: float

    def probabilities(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the probability of yes, float64 [n], for scores float64 [n]."""
        return _logistic(self.slope * scores + self.intercept)


def fit_link(scores: NDArray[np.float64], y: NDArray[np.float64], weights: NDArray[np.float64] | None = None) -> Link:
    """Fit a link by maximum likelihood, by Newton's method with a line search.

    The targets are not 0 and 1 but (n₊ + 1)/(n₊ + 2) and 1/(n₋ + 2), so that classes which a score separates altogether
    do not make the slope infinite. Source: Lin, Lin and Weng, Machine Learning 68, 267 (2007), algorithm 1.

    Args:
        scores: float64 [n], of rows that the regressor was not fitted to.
        y: float64 [n], 0 or 1.
        weights: float64 [n]; default: all alike.
    """
    counts = np.ones_like(y) if weights is None else weights * (len(weights) / weights.sum())
    yes = float(counts @ y)
    no = float(counts.sum()) - yes
    targets = np.where(y > 0.0, (yes + 1.0) / (yes + 2.0), 1.0 / (no + 2.0))
    centre, spread = float(scores.mean()), float(scores.std()) or 1.0
    design = np.column_stack([(scores - centre) / spread, np.ones_like(scores)])
    found = _maximise(design, targets, counts, np.array([0.0, np.log((yes + 1.0) / (no + 1.0))]))
    if found[0] < 0.0:  # the score says nothing, or less: the share of yes is all that is known
        return Link(0.0, float(np.log((yes + 1.0) / (no + 1.0))))
    slope = float(found[0] / spread)
    return Link(slope, float(found[1] - slope * centre))


def _maximise(
    design: NDArray[np.float64], targets: NDArray[np.float64], counts: NDArray[np.float64], start: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the coefficients of the largest likelihood."""
    found, loss = start, _loss(design @ start, targets, counts)
    for _ in range(_STEPS):
        p = _logistic(design @ found)
        gradient = design.T @ (counts * (p - targets))
        curvature = (design * (counts * p * (1.0 - p))[:, None]).T @ design + _RIDGE * np.eye(design.shape[1])
        step = np.linalg.solve(curvature, gradient)
        length = 1.0
        while length > _SMALLEST_STEP:
            tried = found - length * step
            new = _loss(design @ tried, targets, counts)
            if new <= loss - _ENOUGH * length * float(gradient @ step):
                break
            length /= 2.0
        else:
            return found
        found, loss = tried, new
    return found


def _loss(logits: NDArray[np.float64], targets: NDArray[np.float64], counts: NDArray[np.float64]) -> float:
    """Return the cross entropy of log odds with targets between 0 and 1."""
    return float(counts @ (np.logaddexp(0.0, logits) - targets * logits))


def _logistic(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return 1 / (1 + exp(-x)) without overflow."""
    size = np.exp(-np.abs(logits))
    values: NDArray[np.float64] = np.where(logits < 0.0, size, 1.0) / (1.0 + size)
    return values
