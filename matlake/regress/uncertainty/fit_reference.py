"""The reference rows of a head, chosen among its training rows, and what is calibrated on them."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from matlake.regress.features.matrix import Matrix
from matlake.regress.splits import Rows, subsample
from matlake.regress.targets.kinds import Kind
from matlake.regress.targets.target_space import TargetSpace
from matlake.regress.uncertainty.conformal import distance_scale
from matlake.regress.uncertainty.nearest import nearest_rows
from matlake.regress.uncertainty.projection import FIT_ROWS, Projection, fit_projection
from matlake.regress.uncertainty.reference_set import MAX_ROWS, Reference


@dataclass(frozen=True)
class ReferenceRows:
    """Training rows that predictions are compared with, and where they lie.

    Attributes:
        rows: Rows of the matrix [m], ascending.
        projection: From features to coordinates, in the unit of the out-of-distribution score.
        coordinates: float32 [m, p].
        groups: Numbers of their compositions [m].
    """

    rows: Rows
    projection: Projection
    coordinates: NDArray[np.float32]
    groups: NDArray[np.intp]

    def nearest_values(self, matrix: Matrix, rows: Rows) -> NDArray[np.float64]:
        """Return for rows of the matrix the value of the nearest reference row, float64 [n]."""
        _, nearest = nearest_rows(self.projection.apply(matrix.features_of(rows)), self.coordinates, 1)
        return self.as_prediction(matrix, matrix.y[self.rows[nearest[:, 0]]])

    def as_prediction(self, matrix: Matrix, labels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the labels float64 [n] of the nearest reference rows predict: themselves.

        Where they are yes or no, it is the share of yes among the reference rows whose nearest row of another
        composition has that label: a label is not a probability.
        """
        if matrix.kind is Kind.NUMBER:
            return labels
        own = matrix.y[self.rows]
        _, nearest = nearest_rows(self.coordinates, self.coordinates, 1, (self.groups, self.groups))
        beside = own[nearest[:, 0]]
        shares = np.array([(own[beside == label].sum() + 1.0) / ((beside == label).sum() + 2.0) for label in (0, 1)])
        probabilities: NDArray[np.float64] = shares[labels.astype(np.intp)]
        return probabilities


def choose_reference(matrix: Matrix, train_rows: Rows, seed: int) -> ReferenceRows:
    """Choose the reference rows, all training rows or a part, and fit the space of distances.

    Args:
        matrix: Features and compositions.
        train_rows: Rows that the head is fitted to.
        seed: Decides which rows are drawn if there are too many.
    """
    rows = train_rows[subsample(matrix.codes[train_rows], MAX_ROWS, seed)]
    _, groups = np.unique(matrix.codes[rows], return_inverse=True)
    fitted = subsample(matrix.codes[rows], FIT_ROWS, seed)
    projection = fit_projection(matrix.x[rows[fitted]], seed, matrix.own)
    own = matrix.features_of(rows)
    scale = distance_scale(projection.apply(own), groups)
    projection = replace(projection, matrix=projection.matrix / scale)
    return ReferenceRows(rows, projection, projection.apply(own), groups)


def make_reference(
    matrix: Matrix, chosen: ReferenceRows, predicted: NDArray[np.float64], space: TargetSpace
) -> Reference:
    """Return the reference rows as the head keeps them.

    Args:
        matrix: The rows.
        chosen: Which of them.
        predicted: float64 [m], in the target's unit, by fits without the row and its composition; NaN if there is none.
        space: Of the target.
    """
    rows = chosen.rows
    labels = matrix.y[rows]
    return Reference(
        matrix.dataset[rows],
        matrix.material_id[rows],
        matrix.formula[rows],
        labels,
        np.abs(labels - predicted).astype(np.float32),
        chosen.coordinates,
        (space.to_fit(labels) - space.to_fit(predicted)).astype(np.float32) if space.link is None else None,
    )
