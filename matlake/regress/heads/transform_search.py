"""Whether a positive property is better learned as it is, as its logarithm, or as its square root."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.errors import Hint, TrainingError
from matlake.regress.heads.feature_search import (
    FOLDS,
    GAMMAS,
    MAX_ROWS,
    MIN_ROWS,
    RIDGES,
    BlockDistances,
    held_out_values,
)
from matlake.regress.regressors import Blocks, LabelledRows
from matlake.regress.splits import grouped_folds, subsample
from matlake.regress.targets.transform_choice import TransformChoice
from matlake.regress.targets.transforms import Transform

SKEWED: Final = 0.3
"""Skewness, the mean cube of standardised labels, above which a transform is tried. Of a normal distribution it is 0;
of bulk moduli, the least skewed property that gained among those of docs/guides/heads.md, 0.46."""

WORTH_IT: Final = 0.98
"""A root must have an error below that share of the error without it, and a logarithm, which makes more of the smallest
labels, below that share of the root's. The share, the skewness and the order were set on the test rows of 12 positive
properties, with three kinds of regressors; there the smallest error alone chose logarithms that raised the error by up
to 7 %. On seven other properties the choice never raised it (kernel ridge regression, two seeds;
docs/guides/heads.md)."""


def choose_transform(labelled: LabelledRows, blocks: Blocks, seed: int) -> TransformChoice | None:
    """Compare transforms by the held-out errors of kernel ridge regression, as features are compared.

    Errors are absolute ones in the property's unit: a regressor of the logarithm is measured after the exponential.
    For each transform, width and ridge are those that suit it best.

    Args:
        labelled: The training rows.
        blocks: Lengths of the features that make up a row.
        seed: Decides the folds and the subsample.

    Returns:
        The choice; None where there is none: a label that is not positive, labels that are hardly skewed, or fewer than
        100 rows.
    """
    rows = labelled.take(subsample(labelled.groups, MAX_ROWS, seed))
    if len(rows) < MIN_ROWS or labelled.y.min() <= 0.0 or skewness(labelled.y) <= SKEWED:
        return None
    folds = [held for _, held in grouped_folds(rows.groups, FOLDS, seed)]
    distances, everything = BlockDistances.of(rows.x, blocks), tuple(range(len(blocks)))
    errors = dict.fromkeys(Transform, np.inf)
    for gamma in GAMMAS:
        for ridge in RIDGES:
            inverse = distances.inverse(everything, gamma, ridge)
            for transform in Transform:
                predicted = transform.inverse(held_out_values(inverse, transform.forward(rows.y), folds))
                errors[transform] = min(errors[transform], float(np.abs(predicted - rows.y).mean()))
    chosen = Transform.NONE
    for stronger in (Transform.SQRT, Transform.LOG):
        if errors[stronger] < WORTH_IT * errors[chosen]:
            chosen = stronger
    return TransformChoice({str(name): error for name, error in errors.items()}, chosen, len(rows))


def skewness(labels: NDArray[np.float64]) -> float:
    """Return the mean cube of standardised labels float64 [n]; 0 where they do not vary."""
    apart = labels - labels.mean()
    spread = float(np.sqrt(np.mean(apart**2)))
    return float(np.mean((apart / spread) ** 3)) if spread > 0.0 else 0.0


def check_transform(labels: NDArray[np.float64], transform: Transform, target: str) -> None:
    """Raise TrainingError if a transform has no value for some labels float64 [n]."""
    outside = labels[~transform.allows(labels)]
    if len(outside):
        rule = "not positive" if transform is Transform.LOG else "negative"
        raise TrainingError(
            f"{len(outside):,} of {len(labels):,} labels of {target} are {rule}, such as {outside[0]:g}: they have no "
            f"{transform}",
            Hint(
                "leave these rows out with where, or learn the property with transform='none'",
                cli="leave these rows out with --where, or learn the property with --transform none",
            ),
        )
