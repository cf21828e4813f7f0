"""Batches: several measurements at once should not ask the same question twice.

After each choice the head is taken to be right about it (kriging believer: Ginsbourger, Le Riche and Carraro, in
Computational Intelligence in Expensive Optimization Problems, 2010, p. 131). The predictions stay as they are then,
and the spread of what lies near by shrinks as that of a Gaussian process would, whose correlation falls off with the
distance in the head's coordinates.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.suggesting.acquisition import Float, Goal
from matlake.regress.uncertainty.nearest import nearest_rows

Places = list[int]

_NOISE: Final = 0.01
"""Variance of a measurement, relative to that of an error: two of the same material do not agree perfectly."""


def best_values(
    goal: Goal, values: Float, spreads: Float, coordinates: NDArray[np.float32], best: float, n: int
) -> tuple[Places, list[float]]:
    """Choose n materials to measure for values that are wanted.

    Args:
        goal: Which values are wanted.
        values: float64 [m], predicted.
        spreads: float64 [m], standard deviations of their errors.
        coordinates: float32 [m, p], where the materials lie, in the unit of the out-of-distribution score.
        best: The best known value.
        n: Number wanted; m at most.

    Returns:
        Places of those chosen, the first first; and what each was worth when it was chosen.
    """
    known = best

    def worth(left: Float, chosen: int | None) -> Float:
        nonlocal known
        if chosen is not None:
            known = goal.best(np.array([known, values[chosen]]))
        return goal.worth(values, spreads * left, known)

    return _greedy(worth, coordinates, n)


def largest_errors(spreads: Float, coordinates: NDArray[np.float32], n: int) -> tuple[Places, list[float]]:
    """Choose n materials whose predictions are least certain; see ``best_values`` for the arguments.

    Returns:
        Places of those chosen, the first first; and the spread that was left of each when it was chosen.
    """
    return _greedy(lambda left, _: spreads * left, coordinates, n)


def farthest(coordinates: NDArray[np.float32], known: NDArray[np.float32], n: int) -> tuple[Places, list[float]]:
    """Choose n materials, each as far as possible from what is known and from those before it.

    This is the greedy algorithm for k centres (Gonzalez, Theor. Comput. Sci. 38, 293, 1985).

    Args:
        coordinates: float32 [m, p].
        known: float32 [k, p], of materials that were measured.
        n: Number wanted; m at most.

    Returns:
        Places of those chosen, the first first; and the distance of each from the nearest of the others.
    """
    distances = nearest_rows(coordinates, known, 1)[0][:, 0].astype(np.float64)
    chosen: Places = []
    found: list[float] = []
    for _ in range(min(n, len(coordinates))):
        place = int(np.argmax(distances))
        chosen.append(place)
        found.append(float(distances[place]))
        distances = np.minimum(distances, _distances(coordinates, place))
        distances[chosen] = -1.0
    return chosen, found


def _greedy(
    worth: Callable[[Float, int | None], Float], coordinates: NDArray[np.float32], n: int
) -> tuple[Places, list[float]]:
    """Choose what is worth most, n times.

    Args:
        worth: Takes the share of the spread that is left, float64 [m], and the place chosen last; returns float64 [m].
        coordinates: float32 [m, p].
        n: Number wanted.
    """
    variance = np.ones(len(coordinates))
    factors: list[Float] = []  # rows of a Cholesky decomposition of the correlations
    chosen: Places = []
    found: list[float] = []
    for _ in range(min(n, len(coordinates))):
        scores = worth(np.sqrt(np.maximum(variance, 0.0)), chosen[-1] if chosen else None).copy()  # may be the values
        scores[chosen] = -np.inf
        place = int(np.argmax(scores))
        factor = np.exp(-_distances(coordinates, place))
        for row in factors:
            factor -= row * row[place]
        factor /= np.sqrt(max(float(variance[place]), 0.0) + _NOISE)
        factors.append(factor)
        variance -= factor**2
        chosen.append(place)
        found.append(float(scores[place]))
    return chosen, found


def _distances(coordinates: NDArray[np.float32], place: int) -> Float:
    difference = coordinates - coordinates[place]
    distances: Float = np.sqrt(np.einsum("ij,ij->i", difference, difference, dtype=np.float64))
    return distances
