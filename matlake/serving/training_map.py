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
_SHOWN: Final = 10_000
"""Points that a browser draws at most, evenly spread over the rows."""


def training_map(card: HeadCard, reference: Reference) -> Asset:
    """Return the map of the training rows that a head remembers, or of ``_SHOWN`` of them.

    Returns:
        A JSON document. ``x``, ``y``: leading coordinates, in the unit of the out-of-distribution score; ``value``,
        ``formula``, ``dataset``, ``material_id`` of the same materials; ``histogram``: ``edges`` and ``counts`` of the
        values.
    """
    shown = slice(None, None, max(1, -(-len(reference.value) // _SHOWN)))
    given = reference.coordinates[shown].T[:MAP_AXES]
    axes = np.zeros((MAP_AXES, given.shape[1]))
    axes[: len(given)] = given
    x, y = np.round(axes, _DIGITS).tolist()
    counts, edges = np.histogram(reference.value, bins=_BINS)
    document = {
        "head": card.name,
        "target": card.target,
        "unit": card.unit,
        "x": x,
        "y": y,
        "value": reference.value[shown].tolist(),
        "formula": reference.formula[shown].tolist(),
        "dataset": reference.dataset[shown].tolist(),
        "material_id": reference.material_id[shown].tolist(),
        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
    }
    return Asset.of(dumps(document).encode(), "application/json")
