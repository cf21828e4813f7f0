"""Suggestions over a lake: what was measured is left out, the best come first, and each has a reason."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from samples import ENCODER, GAPS, Cli

import matlake
from matlake.errors import HeadError
from matlake.regress.heads.train_result import TrainResult
from matlake.regress.prediction.saving import SavedReport
from matlake.regress.suggesting import candidates
from matlake.regress.suggesting.suggest import Purpose, Suggestions


@pytest.fixture(scope="module")
def lake(embedded: matlake.Lake, trained: TrainResult, tmp_path_factory: pytest.TempPathFactory) -> matlake.Lake:
    """307 measured gaps with the head ``gap``, and 500 formulas without a gap, of which some were measured."""
    assert trained.card.name == "gap"
    folder = tmp_path_factory.mktemp("suggest")
    opened = matlake.open_lake(shutil.copytree(embedded.path, folder / "lake"))
    formulas = pq.read_table(GAPS, columns=["formula"])["formula"].slice(0, 499).to_pylist()
    pq.write_table(pa.table({"formula": [*formulas, "HeO"]}), folder / "new.parquet")
    matlake.import_table(opened, folder / "new.parquet", "new")
    matlake.embed(opened, [f"{ENCODER}@13", f"{ENCODER}@16"])
    return opened


def unmeasured(lake: matlake.Lake) -> set[str]:
    rows = lake.query(
        "SELECT material_id FROM internal.compositions WHERE formula <> 'HeO' AND composition_hash NOT IN "
        "(SELECT composition_hash FROM internal.compositions WHERE dataset = 'gaps')"
    )
    return set(rows["material_id"].to_pylist())


def names(found: Suggestions) -> list[str]:
    return [one.prediction.input for one in found.suggestions]


def test_only_what_was_not_measured_is_suggested(lake: matlake.Lake) -> None:
    left = unmeasured(lake)
    found = matlake.suggest(lake, matlake.SuggestRequest("gap", n=1000))
    assert 0 < len(left) < 499
    assert len(names(found)) == len(set(names(found)))
    assert set(names(found)) <= left
    assert (found.candidates, found.lacking) == (len(found.suggestions), 1)
    assert found.best_measured == max(lake.query("SELECT band_gap_eV FROM gaps")["band_gap_eV"].to_pylist())


def test_the_values_that_are_wanted_come_first(lake: matlake.Lake) -> None:
    predicted = matlake.predict_dataset(lake, "gap", dataset="new")
    values = {one.input: one.value for one in predicted.predictions}  # type: ignore[union-attr]
    upper = {one.input: one.upper for one in predicted.predictions}  # type: ignore[union-attr]
    highest = matlake.suggest(lake, matlake.SuggestRequest("gap", n=10))
    within = matlake.suggest(lake, matlake.SuggestRequest("gap", n=10, goal=matlake.Goal.of(between=(2.9, 3.1))))
    assert abs(np.mean([values[name] for name in names(within)]) - 3.0) < 0.5
    assert np.mean([upper[name] for name in names(highest)]) > np.quantile(list(upper.values()), 0.9)
    assert all("to exceed the best measured value" in one.reason for one in highest.suggestions)
    with pytest.raises(HeadError, match="0, is the lowest that is possible"):
        matlake.suggest(lake, matlake.SuggestRequest("gap", goal=matlake.Goal.of(minimise=True)))


def test_uncertain_and_far_materials_are_found(lake: matlake.Lake) -> None:
    predicted = matlake.predict_dataset(lake, "gap", dataset="new").predictions  # type: ignore[union-attr]
    errors = {one.input: one.expected_error for one in predicted}
    uncertain = matlake.suggest(lake, matlake.SuggestRequest("gap", 10, Purpose.UNCERTAINTY))
    assert np.mean([errors[name] for name in names(uncertain)]) > np.quantile(list(errors.values()), 0.85)
    diverse = matlake.suggest(lake, matlake.SuggestRequest("gap", 10, Purpose.DIVERSITY))
    scores = [one.score for one in diverse.suggestions]
    assert scores == sorted(scores, reverse=True)
    assert diverse.best_measured is None
    known = {one.input: one.ood_score for one in predicted}
    assert np.mean([known[name] for name in names(diverse)]) > np.quantile(list(known.values()), 0.9)  # type: ignore[arg-type]


def test_saved_predictions_are_used_and_change_nothing(
    lake: matlake.Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = matlake.open_lake(shutil.copytree(lake.path, tmp_path / "lake"))
    request = matlake.SuggestRequest("gap", n=15)
    before = matlake.suggest(copied, request)
    report = matlake.predict_dataset(copied, "gap", where="nelements < 3", save=True)
    assert isinstance(report, SavedReport)
    blocks = []
    original = candidates._from_block
    monkeypatch.setattr(candidates, "_from_block", lambda block: blocks.append(block) or original(block))
    after = matlake.suggest(copied, request)
    assert any("were saved before" in note for note in after.notes)
    assert sum(block.materials.num_rows for block in blocks) < after.candidates
    assert names(after) == names(before)


def test_the_command_prints_reasons_and_json(lake: matlake.Lake) -> None:
    cli = Cli(lake.path)
    document = cli.json("suggest", "--head", "gap", "--n", "3", "--for", "value", "--near", "2", "--dataset", "new")
    assert {"dataset", "material_id", "formula", "value", "expected_error", "score", "reason"} <= document[
        "suggestions"
    ][0].keys()  # type: ignore[index]
    assert document["goal"] == "band_gap_eV near 2 eV"


def test_nothing_left_is_said_in_one_line(lake: matlake.Lake) -> None:
    with pytest.raises(HeadError, match="no material is left to suggest"):
        matlake.suggest(lake, matlake.SuggestRequest("gap", dataset="gaps"))


def test_the_command_takes_a_goal_for_values_only(lake: matlake.Lake) -> None:
    error = Cli(lake.path).stderr("suggest", "--head", "gap", "--for", "uncertainty", "--near", "2", code=2)
    assert "go with --for value" in error
