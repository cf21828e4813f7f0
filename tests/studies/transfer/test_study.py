"""The published data of the cross-property study."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import matlake
from matlake.studies.transfer.configurations import TransferRequest
from matlake.studies.transfer.evaluate import evaluate_transfer

BASE = {"expt_deltae": 1.0327, "piezo_max_eij": 0.520, "slme": 9.439, "encut": 246.25}
"""Test MAE of the training mean in table 4 of Gupta et al., Nat. Commun. 12, 6595 (2021)."""


def test_the_papers_base_is_reproduced_on_its_split(tmp_path: Path, development_data: Callable[[str], Path]) -> None:
    table = pq.read_table(development_data("jarvis_targets.parquet"))
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    for name in BASE:
        rows = table.filter(pc.equal(table["property"], name))
        path = tmp_path / f"{name}.parquet"
        pq.write_table(pa.table({"formula": rows["formula"], "split": rows["split"], name: rows["value"]}), path)
        matlake.import_table(lake, path, name)
    request = TransferRequest(targets=tuple(BASE), configurations="Base", split_column="split")
    found = {target.target: target.base_mae for target in evaluate_transfer(lake, request).report.targets}
    assert found == pytest.approx(BASE, rel=0.01)
