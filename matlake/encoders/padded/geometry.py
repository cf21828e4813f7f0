"""The inputs of the structural descriptor: its attributes, ready made. Nothing is padded."""

from typing import Final

import numpy as np

from matlake.encoders.base import Arrays
from matlake.materials.geometry.attributes import GeometryAttributes

ATTRIBUTES: Final = "attributes"

AXES: Final[dict[str, tuple[str, ...]]] = {ATTRIBUTES: ("crystals", "columns")}
"""Of b crystals: ``attributes`` float32 [b, d], the columns ``geometry.attributes.ATTRIBUTES``."""


def geometry_inputs(graphs: GeometryAttributes) -> Arrays:
    """Return the inputs of the descriptor; axes as in ``AXES``."""
    return {ATTRIBUTES: graphs.attributes.astype(np.float32)}
