"""An evaluation: every configuration, on validation rows, resumable, within a budget."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from samples import BUNDLED

import matlake
from matlake.errors import EncoderError, TrainingError
from matlake.studies import results
from matlake.studies.measurement import Measurement, State
from matlake.studies.transfer.configurations import (
    BASE,
    CONFIGURATIONS,
    SC_ML_EF,
    SC_ML_PA,
    TL_CONCAT,
    TL_ENSEMBLE,
    TL_ML,
    TransferRequest,
)
from matlake.studies.transfer.evaluate import TransferResult, evaluate_transfer
from matlake.studies.transfer.stages import CURVE, FINAL, FOLDS, TEST, VALIDATION

Evaluate = Callable[..., TransferResult]
QUICK = f"{BASE},{SC_ML_EF},{TL_ML}"

pytestmark = pytest.mark.usefixtures("few_methods")


def _numbers(result: TransferResult) -> dict[str, Measurement]:
    return {measured.key: replace(measured, seconds=0.0) for measured in result.measurements}


def test_every_configuration_is_measured_on_a_small_target(evaluated: Evaluate) -> None:
    result = evaluated()
    (target,) = result.report.targets
    assert {cell.configuration: cell.state for cell in target.cells} == dict.fromkeys(CONFIGURATIONS, State.MEASURED)
    assert not [measured.error for measured in result.measurements if measured.error]
    assert {measured.stage for measured in result.measurements} == {VALIDATION, TEST, FOLDS, CURVE}
    assert target.facts.n_train + target.facts.n_validation + target.facts.n_test == 160 - len(result.left_out)
    for cell in target.cells:
        assert cell.test_mae is not None
        assert 0.1 < cell.test_mae < 3.0
    best = target.cell(TL_ENSEMBLE)
    assert best.validation_mae == min(cell.validation_mae for cell in target.cells if cell.validation_mae is not None)


def test_errors_are_those_of_the_predictions_kept(evaluated: Evaluate, small_lake: matlake.Lake) -> None:
    result = evaluated(configurations=QUICK, folds=0, curves=False)
    table = pq.read_table(small_lake.path.parent / "gaps.parquet").to_pydict()
    tested = sorted(y for y, part in zip(table["band_gap_eV"], table["split"], strict=True) if part == "test")
    trained = [y for y, part in zip(table["band_gap_eV"], table["split"], strict=True) if part == "train"]
    (base,) = [m for m in result.measurements if m.method == BASE]
    assert base.mae == pytest.approx(np.abs(np.array(tested) - np.mean(trained)).mean())
    kept = [m for m in result.measurements if m.stage == TEST and m.predictions]
    assert kept
    assert all(len(m.predictions) == m.tested_rows == len(tested) for m in kept)


def test_a_run_that_was_stopped_goes_on_and_equals_one_that_was_not(
    evaluated: Evaluate, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = evaluated(name="whole", configurations=QUICK)
    monkeypatch.setattr("matlake.studies.results._WRITE_SECONDS", 0.0)
    added: list[str] = []
    add = results.Results.add

    def killed(self: results.Results, measurement: Measurement, *, at_once: bool = False) -> None:
        if len(added) >= 9:
            raise KeyboardInterrupt
        added.append(measurement.key)
        add(self, measurement, at_once=at_once)

    with monkeypatch.context() as stopping:
        stopping.setattr(results.Results, "add", killed)
        with pytest.raises(KeyboardInterrupt):
            evaluated(name="stopped", configurations=QUICK)
    resumed = evaluated(name="stopped", configurations=QUICK)
    assert resumed.made == whole.made - len(added)
    assert _numbers(resumed) == _numbers(whole)
    assert resumed.lines()[:3] == whole.lines()[:3]
    assert evaluated(name="stopped", configurations=QUICK).made == 0


def test_more_configurations_go_on_from_fewer(evaluated: Evaluate) -> None:
    first = evaluated(configurations=QUICK, folds=0, curves=False)
    second = evaluated(configurations=f"{QUICK},{SC_ML_PA}", folds=0, curves=False)
    before, after = _numbers(first), _numbers(second)
    assert before == {key: after[key] for key in before}
    assert second.made == len(second.measurements) - len(first.measurements)


def test_the_choice_does_not_depend_on_tested_values(evaluated: Evaluate, small_lake: matlake.Lake) -> None:
    before = evaluated(name="before", configurations=QUICK, folds=0, curves=False)
    path = small_lake.path.parent / "gaps.parquet"
    table = pq.read_table(path).to_pydict()
    table["band_gap_eV"] = [
        y + 5.0 if part == "test" else y for y, part in zip(table["band_gap_eV"], table["split"], strict=True)
    ]
    pq.write_table(pa.table(table), path)
    matlake.import_table(small_lake, path, "gaps")
    after = evaluated(name="after", configurations=QUICK, folds=0, curves=False)

    def chosen(result: TransferResult) -> list[Any]:
        rows = [m for m in result.measurements if m.stage == VALIDATION]
        return [(m.method, m.features, m.model, m.round, m.mae, m.predictions) for m in rows]

    assert chosen(after) == chosen(before)
    assert [m.mae for m in after.measurements if m.stage == TEST] != [
        m.mae for m in before.measurements if m.stage == TEST
    ]


def test_a_budget_ends_the_run_and_what_was_not_run_is_marked(evaluated: Evaluate) -> None:
    result = evaluated(configurations=QUICK, seconds=1e-9)
    assert result.out_of_time
    assert {cell.state for cell in result.report.targets[0].cells} == {State.NOT_RUN}
    assert "time is up" in result.lines()[-1]


def test_large_targets_get_fewer_layers_and_no_bagging(evaluated: Evaluate) -> None:
    result = evaluated(configurations=QUICK, small=10, folds=0, curves=False)
    layers = {feature for m in result.measurements if m.round == 0 for feature in m.features if "@" in feature}
    assert {layer.rpartition("@")[2] for layer in layers} == {"1", "2", "3"}
    assert "bagging" not in {m.model for m in result.measurements}
    finalists = [m for m in result.measurements if m.stage == VALIDATION and m.round == FINAL.number]
    assert len(finalists) == len({m.method for m in finalists})


def test_what_is_wrong_is_said_before_anything_is_measured(evaluated: Evaluate) -> None:
    with pytest.raises(TrainingError, match="no numeric column 'hardness'"):
        evaluated(targets=("hardness",))
    with pytest.raises(TrainingError, match="unknown configuration 'TL:Magic'"):
        evaluated(configurations="Base,TL:Magic")
    with pytest.raises(EncoderError, match="no encoder named 'nowhere'"):
        evaluated(sources=("nowhere",))
    with pytest.raises(TrainingError, match="takes crystals"):
        evaluated(sources=("cgcnn-mp-formation-energy",))
    with pytest.raises(TrainingError, match="says 'test' for 0 of the"):
        evaluated(split_column="formula")


def test_layers_of_crystals_stand_beside_the_others(tmp_path: Path) -> None:
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    path = tmp_path / "moduli.parquet"
    pq.write_table(pq.read_table(BUNDLED / "mp_elasticity.parquet").slice(0, 120), path)
    matlake.import_table(lake, path, "moduli")
    matlake.embed(lake, ["cgcnn-mp-formation-energy"])
    request = TransferRequest(
        targets=("bulk_modulus_VRH_GPa",),
        sources=("elemnet-oqmd-formation-energy",),
        configurations="SC:ML(EF),TL+:Concat",
        features=("cgcnn-mp-formation-energy",),  # the default layer, as users type it
        folds=0,
        curves=False,
    )
    result = evaluate_transfer(lake, request)
    assert not [m.error for m in result.measurements if m.error]
    side_by_side = {m.features for m in result.measurements if m.method == TL_CONCAT}
    assert ("cgcnn-mp-formation-energy@1",) in side_by_side
    assert any(len(features) > 1 and "cgcnn-mp-formation-energy@1" in features for features in side_by_side)
