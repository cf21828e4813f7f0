"""A lake with one small target, and networks that are trained for one epoch."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from samples import GAPS

import matlake
from matlake.regress.regressors import Parameters
from matlake.studies.transfer import search, stages, trials
from matlake.studies.transfer.configurations import TransferRequest
from matlake.studies.transfer.evaluate import TransferResult, evaluate_transfer
from matlake.studies.transfer.target_rows import FeatureReader
from matlake.studies.transfer.trials import Fitter

SOURCE = "elemnet-oqmd-formation-energy"
TARGET = "band_gap_eV"
ROWS = 160


@pytest.fixture
def small_lake(tmp_path: Any) -> matlake.Lake:
    """A lake of 160 measured band gaps, every eighth of which is to be tested on."""
    table = pq.read_table(GAPS).slice(0, ROWS)
    split = pa.array(["test" if row % 8 == 0 else "train" for row in range(ROWS)])
    path = tmp_path / "gaps.parquet"
    pq.write_table(table.append_column("split", split), path)
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    matlake.import_table(lake, path, "gaps")
    return lake


@pytest.fixture
def evaluated(small_lake: matlake.Lake) -> Callable[..., TransferResult]:
    """Evaluate the small target."""

    def evaluate(**settings: Any) -> TransferResult:
        usual: dict[str, Any] = {"targets": (TARGET,), "sources": (SOURCE,), "split_column": "split", "folds": 2}
        return evaluate_transfer(small_lake, TransferRequest(**(usual | settings)))

    return evaluate


@pytest.fixture
def few_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try few regressors, four layers, two folds and networks of one epoch: tests stay quick."""
    monkeypatch.setattr(search, "REGRESSORS", ("ridge", "knn", "bagging"))
    monkeypatch.setattr(search, "BEYOND", ("svr",))
    monkeypatch.setattr(search, "FIRST_LAYERS", 3)
    for name in ("SCREEN", "SHORTLIST", "SHORTLIST_OF_MANY", "FINAL"):
        monkeypatch.setattr(search, name, replace(getattr(stages, name), most_folds=2))
    monkeypatch.setattr(trials, "FINAL", search.FINAL)
    every = FeatureReader.layers
    monkeypatch.setattr(FeatureReader, "layers", lambda self, encoder: every(self, encoder)[:4])
    whole = Fitter.parameters

    def shortened(self: Fitter, trial: Any, n_features: int) -> Parameters:
        parameters = whole(self, trial, n_features)
        return parameters | ({"epochs": 1} if "epochs" in parameters else {})

    monkeypatch.setattr(Fitter, "parameters", shortened)
