"""Where the training materials of a head lie: the map on which a prediction is placed."""

from typing import Final

import numpy as np

from matlake.regress.heads.card import HeadCard
from matlake.regress.uncertainty.reference_set import Reference
from matlake.serving.assets import Asset
from matlake.serving.row_json import dumps
from matlake.serving.served_head import MAP_AXES

_BINS: Final = 40
_DIGITS: Final = 4


def training_map(card: HeadCard, reference: Reference) -> Asset:
    """Return the map of the training rows that a head remembers.

    Returns:
        A JSON document. ``x``, ``y``: leading coordinates, in the unit of the out-of-distribution score; ``value``,
        ``formula``, ``dataset``, ``material_id`` of the same materials; ``histogram``: ``edges`` and ``counts`` of the
        values.
    """
    axes = np.zeros((MAP_AXES, len(reference.value)))
    given = reference.coordinates.T[:MAP_AXES]
    axes[: len(given)] = given
    x, y = np.round(axes, _DIGITS).tolist()
    counts, edges = np.histogram(reference.value, bins=_BINS)
    document = {
        "head": card.name,
        "target": card.target,
        "unit": card.unit,
        "x": x,
        "y": y,
        "value": reference.value.tolist(),
        "formula": reference.formula.tolist(),
        "dataset": reference.dataset.tolist(),
        "material_id": reference.material_id.tolist(),
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
    }
    return Asset.of(dumps(document).encode(), "application/json")
