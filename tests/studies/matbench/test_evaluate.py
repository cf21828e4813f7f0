"""Heads on the folds of a public benchmark: trained by ``train``, resumable, and laid beside published results."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import matlake
from matlake.errors import EncoderError, TrainingError
from matlake.regress.heads import train as training
from matlake.regress.heads.storage import list_heads
from matlake.studies.matbench import evaluate as evaluation
from matlake.studies.matbench.evaluate import MatbenchResult, evaluate_matbench
from matlake.studies.matbench.folds import PUBLIC, folds_of
from matlake.studies.matbench.report import summarise
from matlake.studies.matbench.request import MatbenchRequest
from matlake.studies.matbench.task_rows import TaskRows
from matlake.studies.matbench.tasks import find_task
from matlake.studies.measurement import Measurement

TESTED = (range(12), range(12, 24))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> matlake.Lake:
    return matlake.open_lake(tmp_path_factory.mktemp("benchmark") / "lake", create=True)


@pytest.fixture
def request_of(gaps_file: Path, validation_file: Callable[..., Path]) -> Callable[..., MatbenchRequest]:
    def make(**more: Any) -> MatbenchRequest:
        about: dict[str, Any] = {
            "task": "expt_gap",
            "data": gaps_file,
            "folds": validation_file(*TESTED),
            "features": "fractions",
            "model": "ridge",
            "splits": "public",
        }
        return MatbenchRequest(**about | more)

    return make


@pytest.fixture
def result(lake: matlake.Lake, request_of: Callable[..., MatbenchRequest]) -> MatbenchResult:
    return evaluate_matbench(lake, request_of())


def test_each_fold_is_trained_and_its_predictions_are_kept(lake: matlake.Lake, result: MatbenchResult) -> None:
    (public,) = result.report.kinds
    rows = result.rows
    assert (public.measured, public.tested, result.report.failed) == (2, 23, 1)
    for one, tested in zip(result.measurements, TESTED, strict=True):
        expected = [row for row in tested if rows.valid[row]]
        assert set(one.material_ids) == set(rows.material_id[expected])
        places = [rows.material_id.tolist().index(name) for name in one.material_ids]
        assert one.mae == pytest.approx(np.abs(np.array(one.predictions) - rows.y[places]).mean(), rel=1e-5)
    assert public.score == pytest.approx(np.mean([one.mae for one in result.measurements]), rel=1e-5)
    assert 0.0 < (public.coverage or 0.0) <= 1.0
    assert not list_heads(lake)


def test_a_second_run_measures_nothing_and_finds_the_same(
    lake: matlake.Lake, result: MatbenchResult, request_of: Callable[..., MatbenchRequest]
) -> None:
    again = evaluate_matbench(lake, request_of())
    assert again.made == 0
    assert again.report.kinds[0].scores == result.report.kinds[0].scores
    late = evaluate_matbench(lake, request_of(seed=1, seconds=1e-9))
    assert (late.out_of_time, late.report.kinds[0].measured) == (True, 0)


def test_a_stopped_run_resumes_and_no_fold_saves_a_head(
    lake: matlake.Lake,
    result: MatbenchResult,
    request_of: Callable[..., MatbenchRequest],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run that was killed between saving and deleting would leave a head that looks finished."""
    monkeypatch.setattr(training, "save_head_files", None)
    train, stops = training.train_unsaved, iter([False, True])

    def stopped(*about: Any) -> list[training.UnsavedHead]:
        if next(stops):
            raise KeyboardInterrupt
        return train(*about)

    with monkeypatch.context() as stopping:
        stopping.setattr(evaluation, "train_unsaved", stopped)
        with pytest.raises(KeyboardInterrupt):
            evaluate_matbench(lake, request_of(name="stopped"))
    resumed = evaluate_matbench(lake, request_of(name="stopped"))
    assert resumed.made == 1
    assert resumed.report.kinds[0].scores == result.report.kinds[0].scores


def test_a_sample_of_the_file_is_not_compared_with_published_results(result: MatbenchResult) -> None:
    assert (result.report.published, result.report.place) == ((), None)
    assert any("the benchmark's file has 4,604 rows" in str(line) for line in result.lines())
    assert set(result.plots()) == {"matbench_parity.png", "matbench_parity.svg"}


def test_the_whole_file_stands_among_the_published_results(gaps: TaskRows, result: MatbenchResult) -> None:
    """The rows are taken for the whole file."""
    whole = replace(gaps, task=replace(gaps.task, rows=len(gaps)))
    folds = folds_of(whole, [PUBLIC])
    found = [_measured(whole, fold.key[2], fold.number, error=0.3) for fold in folds]
    report = summarise(whole, (), MatbenchRequest("expt_gap", Path("file")), folds, found)
    assert report.public is not None
    assert report.public.score == pytest.approx(0.3)
    assert (report.place, report.published[0].model) == (2, "Darwin")
    unfinished = summarise(whole, (), MatbenchRequest("expt_gap", Path("file")), folds, found[:4])
    assert (unfinished.public, unfinished.place) == (None, None)
    text = replace(result, report=report).markdown()
    assert text.index("Darwin") < text.index("| matlake |") < text.index("CrabNet")
    assert "public leaderboard" in text


def test_rows_whose_composition_is_trained_on_are_told_from_the_others(gaps: TaskRows) -> None:
    folds = folds_of(gaps, [PUBLIC])
    found = [_measured(gaps, fold.key[2], fold.number, error=1.0) for fold in folds]
    report = summarise(gaps, (), MatbenchRequest("expt_gap", Path("file")), folds, found)
    one = report.kinds[0]
    together = any({*gaps.material_id[[40, 41]]} <= {*fold.key[2]} for fold in folds)
    assert (one.tested, one.apart) == (59, 59 if together else 57)


def test_a_class_is_scored_by_balanced_accuracy_and_by_its_probabilities(gaps: TaskRows) -> None:
    metals = replace(gaps, task=find_task("expt_is_metal"), y=(gaps.y == 0).astype(float))
    folds = folds_of(metals, [PUBLIC])
    found = [_measured(metals, fold.key[2], fold.number, error=0.2) for fold in folds]
    (one,) = summarise(metals, (), MatbenchRequest("expt_is_metal", Path("file")), folds, found).kinds
    assert (one.score, one.roc_auc, one.rmse, one.coverage) == (1.0, 1.0, None, None)
    assert one.log_loss == pytest.approx(-np.log(0.8), rel=1e-5)
    wrong = [_measured(metals, fold.key[2], fold.number, error=0.6) for fold in folds]
    (one,) = summarise(metals, (), MatbenchRequest("expt_is_metal", Path("file")), folds, wrong).kinds
    assert (one.score, one.roc_auc) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("about", "error", "message"),
    [
        ({"task": "gaps"}, TrainingError, "unknown task 'gaps'"),
        ({"features": "nowhere"}, EncoderError, "no encoder named 'nowhere'"),
        ({"model": "oracle"}, TrainingError, "unknown model 'oracle'"),
        ({"task": "mp_band_gap"}, TrainingError, "has no published folds"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_trained(
    lake: matlake.Lake,
    request_of: Callable[..., MatbenchRequest],
    monkeypatch: pytest.MonkeyPatch,
    about: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    monkeypatch.setattr(evaluation, "train_unsaved", None)
    with pytest.raises(error, match=message):
        evaluate_matbench(lake, request_of(**about))


def test_features_are_those_recommended_for_the_input() -> None:
    crystals = MatbenchRequest("phonons", Path("file"))
    assert crystals.features_of(crystals.checked_task()) == ("geometry", "magpie", "chgnet-mptrj@all")
    formulas = MatbenchRequest("expt_gap", Path("file"))
    assert "elemnet-oqmd-band-gap@prediction" in formulas.features_of(formulas.checked_task())
    assert formulas.splits_of(formulas.checked_task()) == ("public", "clusters")


def _measured(rows: TaskRows, ids: list[str], number: int, error: float) -> Measurement:
    """Return a measurement whose predictions are all off by so much; of a class towards the other one."""
    y = rows.y[[rows.material_id.tolist().index(name) for name in ids]]
    predicted = np.where(y > 0, y - error, y + error)
    return Measurement(
        key=str(number),
        target=rows.target,
        method="head",
        model="ridge",
        split=PUBLIC,
        round=number,
        tested_rows=len(ids),
        mae=error,
        rmse=error,
        predictions=tuple(predicted.tolist()),
        lower=tuple((predicted - 1).tolist()),
        upper=tuple((predicted + 1).tolist()),
        scores=tuple(np.linspace(0.1, 1.5, len(ids)).tolist()),
        material_ids=tuple(ids),
    )
