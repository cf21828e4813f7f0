"""Fixtures: a lake with embeddings, and one trained head."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

import matlake
from matlake.encoders.encoder import open_encoder
from matlake.encoders.reference import SAMPLE
from matlake.encoders.registry import find_encoder
from matlake.materials.formula import element_fractions, parse_formula
from matlake.regress.heads.train import TrainRequest, train
from matlake.regress.heads.train_result import TrainResult

ENCODER = "elemnet-oqmd-formation-energy"
FEATURE = f"{ENCODER}@13"  # 128 wide: tests stay quick


@pytest.fixture(scope="session")
def gaps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each fifteenth measured band gap of the bundled sample: 307 rows, metals among them."""
    path = tmp_path_factory.mktemp("gaps") / "gaps.parquet"
    table = pq.read_table(SAMPLE)
    pq.write_table(table.take(list(range(0, len(table), 15))), path)
    return path


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory, gaps: Path) -> matlake.Lake:
    """A lake whose dataset ``gaps`` is embedded with two layers; tests read it only, or save heads of their own."""
    lake = matlake.open_lake(tmp_path_factory.mktemp("lake") / "lake", create=True)
    matlake.import_table(lake, gaps, "gaps")
    matlake.embed(lake, [FEATURE, f"{ENCODER}@16"])
    return lake


@pytest.fixture(scope="session")
def trained(embedded: matlake.Lake) -> TrainResult:
    """A ridge head named ``gap`` on two layers."""
    return train(embedded, TrainRequest("band_gap_eV", [FEATURE, f"{ENCODER}@16"], "ridge", name="gap"))


@pytest.fixture(scope="session")
def vectors(gaps: Path) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Embeddings [307, 128] and band gaps [307], made without a lake."""
    table = pq.read_table(gaps)
    fractions = element_fractions([parse_formula(formula) for formula in table["formula"].to_pylist()])
    encoder = open_encoder(find_encoder(ENCODER).folder)
    return encoder.encode(fractions, "13"), table["band_gap_eV"].to_numpy()
