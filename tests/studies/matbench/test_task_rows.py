"""Tasks by name, and files that are not those of a task."""

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from samples import ELASTIC

import matlake
from matlake.errors import SourceError, TrainingError
from matlake.studies.matbench.published import LEADERS
from matlake.studies.matbench.task_rows import TaskRows, import_task
from matlake.studies.matbench.tasks import TASKS, find_task


def test_tasks_are_found_with_and_without_their_prefix() -> None:
    assert find_task("phonons") is find_task("matbench_phonons") is TASKS["matbench_phonons"]
    with pytest.raises(TrainingError, match="unknown task 'phonon'") as caught:
        find_task("phonon")
    assert "matbench_phonons" in caught.value.hint


def test_each_task_of_the_benchmark_has_published_results_best_first() -> None:
    assert LEADERS.keys() == {task.name for task in TASKS.values() if task.rows is not None}
    for name, leaders in LEADERS.items():
        scores = [one.score for one in leaders]
        assert scores == sorted(scores, reverse=TASKS[name].yes_no)


def test_the_benchmarks_own_layout_is_read_in_its_order(gaps: TaskRows, gaps_file: Path) -> None:
    content = json.loads(gzip.decompress(gaps_file.read_bytes()))
    np.testing.assert_array_equal(gaps.y, [gap for _, gap in content["data"]])
    assert gaps.target == "gap expt"
    assert not gaps.is_complete
    np.testing.assert_allclose(gaps.fractions[gaps.valid].sum(axis=1), 1.0, rtol=1e-6)


def test_rows_without_a_value_or_not_positive_do_not_belong_to_the_task(tmp_path: Path) -> None:
    table = pq.read_table(ELASTIC).slice(0, 12)
    values = table["bulk_modulus_VRH_GPa"].to_pylist()
    values[2], values[5] = None, -1.0
    place = table.column_names.index("bulk_modulus_VRH_GPa")
    pq.write_table(table.set_column(place, "bulk_modulus_VRH_GPa", pa.array(values)), tmp_path / "elastic.parquet")
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    rows = import_task(lake, find_task("mp_bulk_modulus"), tmp_path / "elastic.parquet")
    np.testing.assert_array_equal(rows.y, [value for value in values if value and value > 0])
    assert rows.where == '"bulk_modulus_VRH_GPa" > 0'


@pytest.mark.parametrize(
    ("task", "columns", "message"),
    [
        ("expt_gap", {"formula": ["GaN", "AlN"], "gap": [3.4, 6.0]}, "has no column 'gap expt' or 'band_gap_eV'"),
        ("expt_gap", {"formula": ["GaN"], "band_gap_eV": ["wide"]}, "holds string, no numbers"),
        ("expt_gap", {"formula": ["GaN"], "band_gap_eV": pa.array([None], pa.float64())}, "is empty in all rows"),
        ("phonons", {"formula": ["GaN"], "last_phdos_peak_per_cm": [700.0]}, "has no column of crystal structures"),
    ],
)
def test_a_file_that_is_not_the_tasks_is_refused_in_one_line(
    tmp_path: Path, task: str, columns: dict[str, object], message: str
) -> None:
    pq.write_table(pa.table(columns), tmp_path / "data.parquet")
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    with pytest.raises(SourceError, match=message) as caught:
        import_task(lake, find_task(task), tmp_path / "data.parquet")
    assert "\n" not in str(caught.value)
    with pytest.raises(SourceError, match="no file"):
        import_task(lake, find_task(task), tmp_path / "nowhere.parquet")
