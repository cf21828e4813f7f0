"""A lake with two parts of everything, and a copy of it to be damaged."""

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from damaged_lakes import FEATURE, ROWS
from samples import GAPS

import matlake


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A lake with datasets ``a`` and ``b``; both tables that they share have a part for each."""
    folder = tmp_path_factory.mktemp("whole")
    lake = matlake.open_lake(folder / "lake", create=True)
    table = pq.read_table(GAPS)
    for place, name in enumerate("ab"):
        rows = table.slice(place * 400, ROWS)
        noble = pa.table({"formula": ["HeLi" if name == "a" else "NeLi"], "band_gap_eV": [1.0]})
        rows = pa.concat_tables([rows.select(["formula", "band_gap_eV"]), noble], promote_options="permissive")
        pacsv.write_csv(rows, folder / f"{name}.csv")
        matlake.import_table(lake, folder / f"{name}.csv", name)
        matlake.embed(lake, [FEATURE], dataset=name)
    return lake.path


@pytest.fixture
def copied(whole: Path, tmp_path: Path) -> matlake.Lake:
    """A copy of it to be damaged."""
    shutil.copytree(whole, tmp_path / "lake")
    return matlake.open_lake(tmp_path / "lake")
