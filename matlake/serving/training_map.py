"""Where the training materials of a head lie: the map on which a prediction is placed."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.heads.card import HeadCard
from matlake.regress.uncertainty.reference_set import Reference
from matlake.serving.served_head import MAP_AXES

_BINS: Final = 40
_DIGITS: Final = 4


def training_map(card: HeadCard, reference: Reference) -> dict[str, Any]:
    """Return the map.

    Args:
        card: The head's card.
        reference: The training rows that it remembers.

    Returns:
        ``x``, ``y``: leading coordinates, in the unit of the out-of-distribution score; ``value``, ``formula``,
        ``dataset``, ``material_id`` of the same materials; ``histogram``: ``edges`` and ``counts`` of the values.
    """
    axes = np.zeros((len(reference.value), MAP_AXES))
    given = reference.coordinates[:, :MAP_AXES]
    axes[:, : given.shape[1]] = given
    counts, edges = np.histogram(reference.value, bins=_BINS)
    return {
        "head": card.name,
        "target": card.target,
        "unit": card.unit,
        "x": _rounded(axes[:, 0]),
        "y": _rounded(axes[:, 1]),
        "value": reference.value.tolist(),
        "formula": reference.formula.tolist(),
        "dataset": reference.dataset.tolist(),
        "material_id": reference.material_id.tolist(),
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
    }


def _rounded(values: NDArray[np.float64]) -> list[float]:
    found: list[float] = np.round(values, _DIGITS).tolist()
    return found
