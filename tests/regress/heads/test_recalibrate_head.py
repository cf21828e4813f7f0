"""Recalibration on labels of another origin: measured formation energies for a head trained on calculated ones."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from samples import ENCODER, Cli

import matlake
from matlake.encoders.encoder import open_encoder
from matlake.encoders.reference import SAMPLE
from matlake.encoders.registry import find_encoder
from matlake.errors import HeadError, TrainingError
from matlake.materials.formula import parse_formula
from matlake.regress.heads.card_files import CARD_FILE, read_card
from matlake.regress.heads.listing import card_lines
from matlake.regress.heads.recalibrate_head import RecalibrationResult, recalibrate_head
from matlake.regress.heads.request import TrainRequest
from matlake.regress.prediction.predict import predict
from matlake.regress.uncertainty.recalibrate import NewLabels, adjust, held_after, held_before
from matlake.regress.uncertainty.recalibration import Recalibration
from matlake.text_tables import plain_lines

TARGET = "formation_energy_eV_per_atom"
SHIFT = 0.4


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> matlake.Lake:
    """Formation energies of real formulas by an ElemNet; in another dataset those of others, 0.4 eV/atom lower."""
    folder = tmp_path_factory.mktemp("recalibration")
    formulas = pq.read_table(SAMPLE)["formula"].to_pylist()[::8]
    encoder = open_encoder(find_encoder(ENCODER).folder)
    energies = encoder.encode(encoder.columns([parse_formula(one) for one in formulas]), "prediction")[:, 0].astype(
        float
    )
    lake = matlake.open_lake(folder / "lake", create=True)
    for name, rows, shift in (("own", slice(0, 260), 0.0), ("others", slice(240, 420), SHIFT)):
        noise = np.random.default_rng(0).normal(scale=0.05 + shift / 2, size=len(formulas[rows]))
        measured = energies[rows] - shift + noise
        table = pa.table({"formula": formulas[rows], TARGET: measured, "is_low": measured < np.median(measured)})
        pq.write_table(table, folder / f"{name}.parquet")
        matlake.import_table(lake, folder / f"{name}.parquet", name)
    matlake.train(lake, TrainRequest(TARGET, ["magpie"], "ridge", dataset="own", name="head"))
    return lake


@pytest.fixture(scope="module")
def done(lake: matlake.Lake) -> RecalibrationResult:
    return recalibrate_head(lake, "head", "dataset = 'others'")


def test_coverage_comes_back_and_says_so_honestly(done: RecalibrationResult) -> None:
    found = done.recalibration
    assert found.before.coverage < 0.8
    assert 0.84 <= found.after.coverage <= 0.97
    assert found.shift < -0.3
    assert found.shift_p_value < 0.001
    assert found.after.mae < found.before.mae
    assert found.before.error_ratio > 1.3
    assert found.after.error_ratio == pytest.approx(1.0, abs=0.15)
    assert found.rows + sum(found.left_out.values()) == 180
    assert 0 < found.left_out["of compositions that it was trained on"] <= 20
    assert any("intervals hold" in line and "cross-validated" in line for line in done.lines())


def test_the_head_predicts_with_the_new_calibration(
    lake: matlake.Lake, done: RecalibrationResult, tmp_path: Path
) -> None:
    card = read_card(lake.heads_folder / "head" / CARD_FILE)
    assert card.recalibration == done.recalibration
    assert card.interval == done.card.interval
    assert (lake.heads_folder / "head" / "plots" / "parity.png").exists()
    answer = predict(lake, "head", ["TiO2", "GaN"])
    assert any("intervals are those of materials like the" in note for note in answer.notes)
    lines = "\n".join(card_lines(card, tmp_path))
    assert "recalibrated  90% intervals held" in lines
    matlake.train(lake, TrainRequest(TARGET, ["magpie"], "ridge", dataset="own", name="same"))
    before = predict(lake, "same", ["TiO2", "GaN"])
    shifts = [a.value - b.value for a, b in zip(answer.predictions, before.predictions, strict=True)]
    assert shifts == pytest.approx([done.recalibration.shift] * 2, abs=1e-6)
    assert plain_lines(answer.lines())


def test_a_second_recalibration_replaces_the_first(lake: matlake.Lake, done: RecalibrationResult) -> None:
    again = recalibrate_head(lake, "head", "dataset = 'others'")
    assert again.recalibration.shift == done.recalibration.shift
    assert again.recalibration.former_interval == done.recalibration.former_interval
    assert again.card.interval == done.card.interval


def test_too_few_rows_are_refused_in_one_line(lake: matlake.Lake) -> None:
    few = "dataset = 'others' AND material_id IN (SELECT material_id FROM others ORDER BY material_id DESC LIMIT 3)"
    with pytest.raises(TrainingError, match=r"only 3 labelled rows to calibrate head head on; at least 20 are needed"):
        recalibrate_head(lake, "head", few)
    text = Cli(lake.path).stderr("heads", "calibrate", "head", "--rows", few, code=1)
    assert text.startswith("error: only 3 labelled rows")


def test_heads_without_intervals_are_refused(lake: matlake.Lake) -> None:
    with pytest.raises(HeadError, match="there is no head"):
        recalibrate_head(lake, "absent", "true")
    matlake.train(lake, TrainRequest("is_low", ["fractions"], "ridge", dataset="own", name="low"))
    with pytest.raises(HeadError, match="head low predicts yes or no: it has no intervals"):
        recalibrate_head(lake, "low", "true")


def test_a_mean_error_that_may_be_chance_shifts_nothing(done: RecalibrationResult) -> None:
    interval, errors = done.recalibration.former_interval, done.recalibration.former_errors
    generator = np.random.default_rng(0)
    noise = generator.normal(size=60)
    groups = np.array([str(row) for row in range(60)])
    labels = NewLabels(np.zeros(60), 0.5 * (noise - noise.mean()), np.full(60, 0.1), groups)
    space = done.card.space
    found = adjust(labels, interval, errors, space, seed=0)
    assert found.shift == 0.0
    assert found.error_factor == pytest.approx(np.abs(labels.errors).mean() / 0.1)
    assert found.errors.limit == errors.limit
    before, after = held_before(labels, interval, errors, space), held_after(labels, interval, errors, space, 0)
    assert before.coverage < 0.6
    assert after.coverage >= 0.85
    record = Recalibration(
        "x", 60, 60, {}, 0.0, found.shift_p_value, found.error_factor, before, after, interval, errors, ""
    )
    text = " ".join(record.lines("eV", 0.9))
    assert "values stay" in text
    assert "may be of another quantity, unit or reference" not in text
    far = replace(record, before=replace(before, error_ratio=11.0))
    assert "may be of another quantity, unit or reference" in " ".join(far.lines("eV", 0.9))
