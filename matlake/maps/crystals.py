"""The crystals of a map: which of them go into a file, and their geometry."""

from collections.abc import Iterator
from functools import partial
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.maps.points import Points
from matlake.materials.crystal import COLUMNS, Crystal, CrystalColumns
from matlake.store.damage import read_what_is_sound
from matlake.store.lake import Lake
from matlake.store.quoting import dataset_rows, literal
from matlake.store.sql import connect

_TOGETHER: Final = 2000
"""Crystals that are read at once."""


def choose_crystals(points: Points, most: int, seed: int) -> NDArray[np.int64]:
    """Return which materials' crystals go into a file: all, or so many drawn at random, in order."""
    there = np.flatnonzero(points.has_crystal)
    if len(there) <= most:
        return there
    return np.sort(np.random.default_rng(seed).choice(there, most, replace=False))


def read_crystals(lake: Lake, points: Points, chosen: NDArray[np.int64]) -> Iterator[Crystal]:
    """Yield the crystals of some materials of a map, in their order; memory use does not grow with their number."""
    for start in range(0, len(chosen), _TOGETHER):
        part = chosen[start : start + _TOGETHER]
        table = read_what_is_sound(lake, partial(_read, lake, points, part))
        columns = CrystalColumns.from_arrow(table)
        yield from (columns[number] for number in range(len(columns)))


def _read(lake: Lake, points: Points, chosen: NDArray[np.int64]) -> pa.Table:
    """Return the columns of crystals of some materials, in their order."""
    keys = points.table.select(["dataset", "material_id"]).take(pa.array(chosen))
    keys = keys.append_column("place", pa.array(np.arange(len(chosen))))
    datasets = [points.datasets[home] for home in np.unique(points.home[chosen]).tolist()]
    geometry = ", ".join(COLUMNS.names)
    with connect(lake, {"searchable"}) as connection:
        connection.register("chosen", keys)
        selects = [
            f"SELECT place, {geometry} FROM {dataset_rows(name)} AS m JOIN chosen AS c "
            f"ON m.material_id = c.material_id AND c.dataset = {literal(name)}"
            for name in datasets
        ]
        return connection.sql(f"FROM ({' UNION ALL '.join(selects)}) ORDER BY place").to_arrow_table()
