"""Names of the columns that all datasets have in SQL."""

from typing import Final

from matlake.materials.crystal import COLUMNS

GEOMETRY_COLUMNS: Final = tuple(COLUMNS.names)
"""Columns of crystals: in the view of their dataset, not in ``materials``."""

MATERIAL_COLUMNS: Final = frozenset(
    {"dataset", "material_id", "formula", "elements", "nelements", "nsites", *GEOMETRY_COLUMNS},
)
"""Columns of ``materials`` and of the datasets that are no properties."""
