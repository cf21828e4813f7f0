"""Predictions that live in the lake: once for each content, whatever is killed, repeated, changed or run at once."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from samples import ENCODER

import matlake
from matlake.regress.heads.request import TrainRequest
from matlake.regress.heads.train import train
from matlake.regress.prediction.predict import Predictions
from matlake.regress.prediction.saving import SavedReport
from matlake.store.status import status
from matlake.store.tables import delta

CURRENT = "SELECT material_id, value FROM predictions WHERE NOT stale ORDER BY ALL"


def save(lake: matlake.Lake, **rows: Any) -> SavedReport:
    report = matlake.predict_dataset(lake, "gap", **rows, save=True)
    assert isinstance(report, SavedReport)
    return report


def counts(report: SavedReport) -> tuple[int, int, int]:
    return report.saved, report.skipped, report.n_failed


def stored(lake: matlake.Lake) -> pa.Table:
    """What the table holds."""
    table = delta.open_table(lake.predictions)
    parts = [] if table is None else [pq.read_table(file, partitioning=None) for file in delta.live_files(table)]
    return pa.concat_tables(parts) if parts else pa.table({"content_hash": pa.array([], pa.string())})


def contents(lake: matlake.Lake) -> int:
    (row,) = lake.query("SELECT count(DISTINCT composition_hash) AS n FROM internal.compositions").to_pylist()
    return int(row["n"])


def train_again(lake: matlake.Lake) -> None:
    """Put another head in the place of ``gap``, as training again would: another card."""
    card = lake.heads_folder / "gap" / "card.json"
    document = json.loads(card.read_text())
    document.pop("digest")
    document["provenance"]["created"] = "2030-01-01T00:00:00+00:00"
    from matlake.documents import sealed_json

    card.write_bytes(sealed_json(document))


def test_what_is_saved_is_what_is_predicted(lake: matlake.Lake) -> None:
    assert lake.query("SELECT * FROM predictions").column_names == [
        *("dataset", "material_id", "head", "head_digest", "target", "unit", "value", "lower", "upper"),
        *("expected_error", "ood_score", "warnings", "stale"),
    ]
    report = save(lake)
    assert counts(report) == (contents(lake), 307 - contents(lake), 0)
    shown = matlake.predict_dataset(lake, "gap")
    assert isinstance(shown, Predictions)
    rows = lake.query("FROM predictions ORDER BY material_id").to_pylist()
    assert [row["material_id"] for row in rows] == [one.input for one in shown.predictions]
    for row, one in zip(rows, shown.predictions, strict=True):
        assert (row["dataset"], row["head"], row["target"], row["unit"]) == ("gaps", "gap", "band_gap_eV", "eV")
        assert row["head_digest"] == report.head_digest
        assert np.allclose(
            [row["value"], row["lower"], row["upper"], row["ood_score"]],
            [one.value, one.lower, one.upper, one.ood_score],  # type: ignore[list-item]
            atol=1e-6,
        )
        assert row["warnings"] == list(one.warnings)
        assert row["stale"] is False
    oxides = lake.query(
        "SELECT m.formula FROM materials AS m JOIN predictions AS p USING (dataset, material_id) "
        "WHERE list_contains(m.elements, 'O') AND p.head = 'gap' AND NOT p.stale AND p.value BETWEEN 1 AND 2"
    )
    assert 0 < len(oxides) < 307
    near = matlake.search(
        lake,
        matlake.SearchRequest(
            f"{ENCODER}@16", formula="ZnO", where="material_id IN (SELECT material_id FROM predictions WHERE value < 1)"
        ),
    )
    values = dict(lake.query(CURRENT).select(["material_id", "value"]).to_pandas().itertuples(index=False))
    assert all(values[one.material_id] < 1 for one in near.neighbours)


def test_a_second_run_predicts_only_what_is_new_or_changed(
    lake: matlake.Lake, write_table: Callable[..., Path]
) -> None:
    matlake.import_table(lake, write_table(formula=["TiO2", "Ti2O4", "GaN", "HeO"]), "d")
    matlake.embed(lake, [f"{ENCODER}@13", f"{ENCODER}@16"])
    assert counts(save(lake, dataset="d")) == (2, 1, 1)
    before = stored(lake)
    assert counts(save(lake, dataset="d")) == (0, 3, 1)
    assert stored(lake) == before
    old = {row["material_id"]: row["value"] for row in lake.query(CURRENT).to_pylist()}
    matlake.import_table(lake, write_table(formula=["TiO2", "Ti2O4", "GaAs"]), "d")
    assert {row["material_id"] for row in lake.query(CURRENT).to_pylist()} == {"d-0", "d-1"}
    report = save(lake, dataset="d")
    assert counts(report) == (0, 2, 1)
    assert [(one.input, one.reason) for one in report.failed] == [("d-2", f"not embedded with {ENCODER}@13")]
    matlake.embed(lake, [f"{ENCODER}@13", f"{ENCODER}@16"])
    assert counts(save(lake, dataset="d")) == (1, 2, 0)
    new = {row["material_id"]: row["value"] for row in lake.query(CURRENT).to_pylist()}
    assert (new["d-0"], new["d-1"]) == (old["d-0"], old["d-1"])
    assert new["d-2"] != old["d-2"]


def test_rows_that_fail_are_failures_with_a_stage(lake: matlake.Lake, write_table: Callable[..., Path]) -> None:
    matlake.import_table(lake, write_table(formula=["TiO2", "HeO"]), "d")
    matlake.embed(lake, [f"{ENCODER}@13", f"{ENCODER}@16"])
    save(lake, dataset="d")
    failures = lake.query("SELECT dataset, material_id, formula, head, reason FROM failures WHERE stage = 'predict'")
    assert failures.to_pylist() == [
        {
            "dataset": "d",
            "material_id": "d-1",
            "formula": "HeO",
            "head": "gap",
            "reason": "element He is not among the 86 of this encoder",
        }
    ]
    lake.rename_dataset("d", "e")
    assert {row["material_id"] for row in lake.query(CURRENT).to_pylist()} == {"d-0"}
    lake.delete_dataset("e")
    assert lake.query(CURRENT).num_rows == 0
    assert lake.query("FROM failures WHERE stage = 'predict'").num_rows == 0


def test_a_head_that_is_trained_again_makes_what_it_predicted_stale(lake: matlake.Lake) -> None:
    first = save(lake)
    assert (
        status(lake).predictions[0].document().items()
        >= {"head": "gap", "rows": contents(lake), "stale": False}.items()
    )
    train_again(lake)
    assert lake.query("SELECT DISTINCT stale FROM predictions").to_pylist() == [{"stale": True}]
    assert "stale" in "\n".join(map(str, status(lake).lines()))
    shown = matlake.predict_dataset(lake, "gap", where="formula = 'ZnO'")
    assert any("stale" in note for note in shown.notes)
    second = save(lake)
    assert second.head_digest != first.head_digest
    assert counts(second) == counts(first)
    assert [(one.stale, one.rows) for one in status(lake).predictions] == [
        (False, contents(lake)),
        (True, contents(lake)),
    ]
    assert lake.query(CURRENT).num_rows == 307
    assert matlake.compact(lake).dropped == 0
    assert matlake.compact(lake, drop_unused=True).dropped == contents(lake)
    assert lake.query("SELECT DISTINCT head_digest FROM predictions").to_pylist() == [
        {"head_digest": second.head_digest}
    ]
    from matlake.regress.heads.storage import delete_head

    delete_head(lake, "gap")
    assert lake.query("SELECT DISTINCT stale FROM predictions").to_pylist() == [{"stale": True}]


def test_parts_are_compacted_checked_and_made_again(lake: matlake.Lake) -> None:
    for atoms in (1, 2, 3):
        save(lake, where=f"nelements = {atoms}")
    save(lake)
    before = lake.query(CURRENT)
    matlake.compact(lake)
    assert lake.query(CURRENT) == before
    (part,) = delta.live_parts(delta.open_table(lake.predictions))  # type: ignore[arg-type]
    content = bytearray(part.path.read_bytes())
    content[len(content) // 2] ^= 0x10
    part.path.write_bytes(content)
    (problem,) = matlake.check(lake).damaged
    assert problem.path == part.path
    (repaired,) = [line for line in matlake.check(lake, repair=True).repaired if "predict" in line]
    assert "`matlake predict gap --dataset NAME --save`" in repaired
    assert lake.query(CURRENT).num_rows == 0
    save(lake)
    assert np.allclose(lake.query(CURRENT)["value"], before["value"], atol=1e-6)


STAGES = {
    "while predicting": "import matlake.regress.heads.storage as s\ns.Head.outputs = late(s.Head.outputs)",
    "within the commit": "import matlake.store.tables.delta as d\nd.commit = late(d.commit)",
    "after the commit": "import matlake.store.tables.delta as d\nd.sync_log = late(d.sync_log)",
}
LATE = """
import os, signal
calls = []
def late(function):
    def inner(*arguments, **settings):
        calls.append(1)
        if len(calls) == 3: os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments, **settings)
    return inner
"""


def run_save(lake: matlake.Lake, before: str = "") -> "subprocess.Popen[str]":
    """Save in a process of its own, in blocks of 50 rows."""
    code = f"""{before}
import matlake
from matlake.regress.prediction import stored_rows
stored_rows.BLOCK_BYTES, stored_rows.FEWEST_ROWS = 0, 50
print(matlake.predict_dataset(matlake.open_lake({str(lake.path)!r}), "gap", save=True).saved)
"""
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_run_leaves_whole_parts_and_the_next_goes_on(lake: matlake.Lake, stage: str) -> None:
    process = run_save(lake, LATE + STAGES[stage])
    _, errors = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL, errors
    kept = stored(lake).num_rows
    parts = delta.live_parts(delta.open_table(lake.predictions))  # type: ignore[arg-type]
    assert 2 <= len(parts) <= 3
    assert {part.rows for part in parts} <= {50, contents(lake) % 50}, "blocks, whole"
    assert matlake.check(lake).sound
    report = save(lake)
    assert kept + report.saved == contents(lake)
    keys = stored(lake)["content_hash"].to_pylist()
    assert len(keys) == len(set(keys)) == contents(lake)
    assert lake.query(CURRENT).num_rows == 307


def test_two_processes_save_each_content_once(lake: matlake.Lake) -> None:
    processes = [run_save(lake) for _ in range(2)]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    keys = stored(lake)["content_hash"].to_pylist()
    assert len(keys) == len(set(keys)) == contents(lake)
    assert sum(int(printed) for printed, _ in outputs) == len(keys)


def test_a_head_of_several_targets_saves_a_row_for_each(lake: matlake.Lake, write_table: Callable[..., Path]) -> None:
    table = lake.query("SELECT formula, band_gap_eV, 2 * band_gap_eV AS twice_eV FROM gaps LIMIT 120")
    matlake.import_table(lake, write_table(**{name: table[name] for name in table.column_names}), "both")
    train(lake, TrainRequest("band_gap_eV,twice_eV", [f"{ENCODER}@16"], "ridge", dataset="both", name="pair"))
    report = matlake.predict_dataset(lake, "pair", dataset="both", save=True)
    assert isinstance(report, SavedReport)
    saved = "SELECT material_id, target, value FROM predictions WHERE head = 'pair' AND NOT stale AND dataset = "
    rows = lake.query(f"{saved} 'both'").to_pylist()
    assert len(rows) == lake.query(f"{saved} 'gaps'").num_rows == 2 * 120, "equal contents share predictions"
    assert {row["target"] for row in rows} == {"band_gap_eV", "twice_eV"}
    again = matlake.predict_dataset(lake, "pair", dataset="both", save=True)
    assert isinstance(again, SavedReport)
    assert (again.saved, again.skipped) == (0, 240)
    shown = matlake.predict_dataset(lake, "pair", dataset="both")
    assert isinstance(shown, Predictions)
    found = {(one.input, part.target): one.value for part in shown.results for one in part.predictions}
    assert all(np.isclose(found[row["material_id"], row["target"]], row["value"], atol=1e-6) for row in rows)


def test_a_dataset_of_the_name_of_the_view_keeps_it(lake: matlake.Lake) -> None:
    with pytest.raises(matlake.MatlakeError, match="it is a view of the lake"):
        lake.rename_dataset("gaps", "predictions")
    save(lake)
    (lake.datasets_folder / "gaps").rename(lake.datasets_folder / "predictions")
    assert lake.query("SELECT count(band_gap_eV) AS n FROM predictions").to_pylist() == [{"n": 307}]
    assert lake.query("SELECT count(value) AS n FROM internal.predictions").to_pylist() == [{"n": 307}]
