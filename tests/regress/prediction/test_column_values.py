"""Predictions by heads that take columns: values row by row, from tables and the lake, saved once for each."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import matlake
from matlake.errors import HeadError, MatlakeError, SourceError
from matlake.regress.prediction.predict import Predictions
from matlake.regress.prediction.saving import SavedReport
from matlake.serving.examples import RUTILE

LACKING = "no value of temperature_K (in K)"


@pytest.fixture
def copied(series: matlake.Lake, tmp_path: Path) -> matlake.Lake:
    return matlake.open_lake(shutil.copytree(series.path, tmp_path / "lake"))


def values(found: object) -> list[float]:
    assert isinstance(found, Predictions)
    return [one.value for one in found.predictions]


def save(lake: matlake.Lake, dataset: str | None = None) -> tuple[int, int, int]:
    report = matlake.predict_dataset(lake, "gap_of_T", dataset=dataset, save=True)
    assert isinstance(report, SavedReport)
    return report.saved, report.skipped, report.n_failed


def test_one_value_holds_for_all_inputs_or_each_has_its_own(series: matlake.Lake) -> None:
    each = matlake.predict(series, "gap_of_T", ["GaN", "ZnO"], columns={"Temperature_k": np.array([300, 600])})
    cold, hot = (matlake.predict(series, "gap_of_T", ["GaN", "ZnO"], columns={"temperature_K": t}) for t in (300, 600))
    assert values(each) == pytest.approx([values(cold)[0], values(hot)[1]], abs=1e-9)
    assert values(cold)[1] > values(hot)[1]


def test_an_input_without_a_value_fails_and_names_the_column(series: matlake.Lake) -> None:
    found = matlake.predict(series, "gap_of_T", ["GaN", "Xx", "ZnO"], columns={"temperature_K": [None, 300, 300]})
    assert [one.input for one in found.predictions] == ["ZnO"]
    assert [(one.row, one.input) for one in found.failed] == [(0, "GaN"), (1, "Xx")]
    assert found.failed[0].reason == LACKING
    assert "unknown element" in found.failed[1].reason
    assert [one.reason for one in matlake.predict(series, "gap_of_T", "GaN").failed] == [LACKING]


def test_values_that_do_not_fit_are_refused(series: matlake.Lake) -> None:
    with pytest.raises(MatlakeError, match="head gap_of_T takes no column 'T'") as caught:
        matlake.predict(series, "gap_of_T", "GaN", columns={"T": 300})
    assert "temperature_K (in K)" in caught.value.hint
    with pytest.raises(MatlakeError, match="2 values of temperature_K for 3 inputs"):
        matlake.predict(series, "gap_of_T", ["GaN"] * 3, columns={"temperature_K": [300, 600]})


def test_a_structure_has_its_values_too(series: matlake.Lake, tmp_path: Path) -> None:
    path = tmp_path / "rutile.vasp"
    path.write_text(RUTILE)
    found = matlake.predict_structures(series, "gap_of_T", [path, path], columns={"temperature_K": [300, None]})
    assert values(found) == pytest.approx(
        values(matlake.predict(series, "gap_of_T", "TiO2", columns={"temperature_K": 300})), abs=1e-6
    )
    assert [one.reason for one in found.failed] == [LACKING]


def test_a_table_has_values_row_by_row(series: matlake.Lake, tmp_path: Path, write_table: Callable[..., Path]) -> None:
    table = tmp_path / "t.csv"
    table.write_text("formula,Temperature_K\nGaN,300\nGaN,600\nGaN,\nZnO,300\n")
    found = matlake.predict_table(series, "gap_of_T", table)
    wanted = matlake.predict(series, "gap_of_T", ["GaN", "GaN", "ZnO"], columns={"temperature_K": [300, 600, 300]})
    assert values(found) == pytest.approx(values(wanted), abs=1e-9)
    assert [(one.row, one.reason) for one in found.failed] == [(2, LACKING)]
    with pytest.raises(SourceError, match="has a column Temperature_K, and another value of it is given"):
        matlake.predict_table(series, "gap_of_T", table, columns={"temperature_K": 300})
    without = write_table(formula=["GaN", "ZnO"])
    assert [one.reason for one in matlake.predict_table(series, "gap_of_T", without).failed] == [LACKING] * 2
    set_for_all = matlake.predict_table(series, "gap_of_T", without, columns={"temperature_K": 300})
    assert values(set_for_all) == pytest.approx([values(wanted)[0], values(wanted)[2]], abs=1e-9)
    written = matlake.predict_to_file(series, "gap_of_T", table, tmp_path / "out.parquet")
    assert (written.rows, written.n_failed) == (3, 1)
    assert pq.read_table(tmp_path / "out.parquet")["prediction_failure"].to_pylist() == [None, None, LACKING, None]


def test_saved_predictions_follow_the_values(
    copied: matlake.Lake, write_table: Callable[..., Path], tmp_path: Path
) -> None:
    def import_at(*temperatures: float | None) -> None:
        formulas = ["GaN", "Ga2N2", "GaN", "ZnO"][: len(temperatures)]
        matlake.import_table(copied, write_table(formula=formulas, temperature_K=pa.array(temperatures)), "d")

    def shown() -> dict[str, float]:
        rows = copied.query("SELECT material_id, value FROM predictions WHERE dataset = 'd' AND NOT stale").to_pylist()
        return {row["material_id"]: row["value"] for row in rows}

    import_at(300.0, 300.0, 600.0, None)
    assert save(copied, "d") == (2, 1, 1)  # equal contents at equal temperatures share one
    before = shown()
    assert before["d-0"] == before["d-1"] > before["d-2"]
    assert copied.query("SELECT stage, head, reason FROM failures WHERE dataset = 'd'").to_pylist() == [
        {"stage": "predict", "head": "gap_of_T", "reason": LACKING}
    ]
    assert save(copied, "d") == (0, 3, 1)
    import_at(300.0, 450.0, 600.0, 300.0)
    assert set(shown()) == {"d-0", "d-2"}  # of another temperature nothing is known yet
    assert save(copied, "d") == (2, 2, 0)
    after = shown()
    assert after["d-0"] == before["d-0"] > after["d-1"] > after["d-2"] == before["d-2"]
    direct = matlake.predict_dataset(copied, "gap_of_T", dataset="d")
    assert list(after.values()) == pytest.approx(values(direct), abs=1e-9)
    output = tmp_path / "all.parquet"
    matlake.predict_dataset(copied, "gap_of_T", dataset="d", output=output)
    written = pq.read_table(output)
    assert written.column_names[:5] == [
        *("dataset", "material_id", "formula", "temperature_K", "predicted_band_gap_eV"),
    ]
    assert written["temperature_K"].to_pylist() == [300.0, 450.0, 600.0, 300.0]
    kept = matlake.compact(copied, drop_unused=True)
    assert kept.dropped == 0
    assert shown() == after
    matlake.import_table(copied, write_table(formula=["GaN"]), "d")
    with pytest.raises(HeadError, match="none of the 1 rows has a value of temperature_K"):
        save(copied, "d")


def test_a_lake_that_lost_the_column_opens_and_says_so(copied: matlake.Lake, write_table: Callable[..., Path]) -> None:
    assert save(copied, "series")[0] == copied.query("SELECT count(*) AS n FROM series").to_pylist()[0]["n"]
    matlake.import_table(copied, write_table(formula=["GaN"]), "series")
    assert copied.query("FROM predictions").num_rows == 0
    with pytest.raises(HeadError, match=r"no column 'temperature_K' .* and head gap_of_T needs it"):
        matlake.predict_dataset(copied, "gap_of_T")


def test_what_was_measured_at_another_temperature_may_be_suggested(
    copied: matlake.Lake, write_table: Callable[..., Path]
) -> None:
    (known,) = copied.query("SELECT formula FROM series LIMIT 1")["formula"].to_pylist()
    new = write_table(formula=[known, known, known, "GaN"], temperature_K=[300.0, 450.0, 450.0, None])
    matlake.import_table(copied, new, "new")
    found = matlake.suggest(copied, matlake.SuggestRequest("gap_of_T", n=9, dataset="new"))
    assert [one.prediction.shown for one in found.suggestions] in (
        ["new-1, temperature_K 450"],
        ["new-2, temperature_K 450"],
    )
    assert (found.measured, found.lacking) == (1, 1)
