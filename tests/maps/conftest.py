"""Fixtures: a lake with 60 crystals and 40 formulas, one of them with markup in its id."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from samples import ELASTIC, GAPS

import matlake

SPOILED = "<img src=x onerror=alert(1)>"
"""An id that would run a script where it became HTML."""


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> matlake.Lake:
    """Datasets ``elastic`` (60 crystals) and ``gaps`` (40 formulas) with vectors of ``magpie``, ``bare`` with none.

    ``elastic`` has the columns ``bulk_modulus_VRH_GPa``, missing in every tenth row, ``kind`` (nine words and none),
    ``stiff`` and ``measured``, a date.
    """
    folder = tmp_path_factory.mktemp("mapped")
    table = pq.read_table(ELASTIC).slice(0, 60).select(["material_id", "formula", "poscar", "bulk_modulus_VRH_GPa"])
    moduli = table["bulk_modulus_VRH_GPa"].to_numpy().copy()
    moduli[::10] = np.nan
    ids = [SPOILED, *table["material_id"].to_pylist()[1:]]
    kinds = [None if row % 10 == 5 else f"k{min(row % 10, 7) if row < 50 else 8}" for row in range(60)]
    days = np.datetime64("2020-01-01") + np.arange(60)
    columns = {
        "material_id": pa.array(ids),
        "formula": table["formula"],
        "poscar": table["poscar"],
        "bulk_modulus_VRH_GPa": pa.array(moduli, from_pandas=True),
        "kind": pa.array(kinds),
        "stiff": pa.array([row % 3 == 0 for row in range(60)]),
        "measured": pa.array(days.astype("datetime64[us]")),
    }
    pq.write_table(pa.table(columns), folder / "elastic.parquet")
    pq.write_table(pq.read_table(GAPS).slice(0, 40), folder / "gaps.parquet")
    lake = matlake.open_lake(folder / "lake", create=True)
    lake.add(folder / "elastic.parquet", dataset="elastic", progress=False)
    lake.add(folder / "gaps.parquet", dataset="gaps", progress=False)
    lake.embed("magpie", progress=False)
    lake.add(pa.table({"formula": ["GaN", "PbTe", "Ge2Sb2Te5"]}), dataset="bare", progress=False)
    return lake


@pytest.fixture(scope="module")
def page(mapped: matlake.Lake, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The map of ``elastic`` as a page, with 50 of its 60 crystals."""
    path = tmp_path_factory.mktemp("page") / "map.html"
    mapped.map("elastic", "magpie", "bulk_modulus_VRH_GPa", output=path, structures=50, progress=False)
    return path
