"""Fixtures: the real samples, and small lakes made from them."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from samples import BUNDLED, SHARED

import matlake


@pytest.fixture(scope="session")
def oqmd() -> Path:
    """OQMD formulas and energies, where the development data is."""
    path = SHARED / "oqmd.parquet"
    if not path.exists():
        pytest.skip(f"needs the development data at {path}")
    return path


@pytest.fixture(scope="session")
def development_data() -> Callable[[str], Path]:
    """Find a file of the development data, or skip."""

    def find(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"needs the development data at {path}")
        return path

    return find


@pytest.fixture
def write_table(tmp_path: Path) -> Callable[..., Path]:
    """Write columns as a Parquet file."""

    def write(name: str = "table.parquet", **columns: object) -> Path:
        path = tmp_path / name
        pq.write_table(pa.table(columns), path)
        return path

    return write


@pytest.fixture(scope="session")
def band_gaps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 300 measured band gaps of the bundled sample."""
    path = tmp_path_factory.mktemp("sample") / "gaps.parquet"
    pq.write_table(pq.read_table(BUNDLED / "expt_gap.parquet").slice(0, 300), path)
    return path


@pytest.fixture
def lake(tmp_path: Path, band_gaps: Path) -> matlake.Lake:
    """A lake with one dataset, ``gaps``, and nothing embedded."""
    opened = matlake.open_lake(tmp_path / "lake", create=True)
    matlake.import_table(opened, band_gaps, "gaps")
    return opened
