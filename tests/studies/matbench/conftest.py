"""Fixtures: a task's file as the benchmark has it, made of real measured gaps, and its validation file."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from samples import GAPS

import matlake
from matlake.studies.matbench.task_rows import TaskRows, import_task
from matlake.studies.matbench.tasks import find_task

ROWS = 60
GAP = "gap expt"
BROKEN = 7
"""Row whose formula is not valid: it counts in public folds, and is not tested."""


@pytest.fixture(scope="session")
def gaps_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows of the bundled gaps, in the layout of Matbench's files, one formula broken and one there twice."""
    table = pq.read_table(GAPS).slice(0, 12 * ROWS).to_pydict()
    formulas, gaps = table["formula"][::12], table["band_gap_eV"][::12]
    formulas[BROKEN], formulas[40] = "Xx2", formulas[41]
    columns = {"composition": formulas, GAP: gaps}
    content = {
        "index": list(range(ROWS)),
        "columns": [*columns],
        "data": [*map(list, zip(*columns.values(), strict=True))],
    }
    path = tmp_path_factory.mktemp("matbench") / "matbench_expt_gap.json.gz"
    path.write_bytes(gzip.compress(json.dumps(content).encode()))
    return path


@pytest.fixture(scope="session")
def gaps(gaps_file: Path, tmp_path_factory: pytest.TempPathFactory) -> TaskRows:
    """The same as rows of the task."""
    lake = matlake.open_lake(tmp_path_factory.mktemp("matbench-lake") / "lake", create=True)
    return import_task(lake, find_task("expt_gap"), gaps_file)


@pytest.fixture
def validation_file(tmp_path: Path) -> Callable[..., Path]:
    """Write folds, given by the numbers of the rows tested, as the benchmark does."""

    def write(*tested: Any, task: str = "matbench_expt_gap") -> Path:
        def names(rows: Any) -> list[str]:
            return [f"mb-expt-gap-{row + 1:04d}" for row in rows]

        folds = {
            f"fold_{number}": {"train": names(sorted({*range(ROWS)} - {*rows})), "test": names(rows)}
            for number, rows in enumerate(tested)
        }
        path = tmp_path / "validation.json"
        path.write_text(json.dumps({"metadata": {}, "splits": {task: folds}}))
        return path

    return write
