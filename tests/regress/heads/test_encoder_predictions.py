"""Encoders that predict a head's very property: found by quantity and unit, beside the head on its test rows."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from samples import CRYSTAL_ENCODER, ELASTIC

import matlake
from matlake.encoders.registry import find_encoder
from matlake.encoders.training_contents import random_parts
from matlake.materials.formula import parse_formula
from matlake.regress.features.feature import resolve_features
from matlake.regress.features.matrix import read_matrix
from matlake.regress.heads.encoder_predictions import (
    any_takes_crystals,
    compared_rows,
    predict_rows,
    predicting_encoders,
)
from matlake.regress.heads.request import TrainRequest
from matlake.regress.heads.train_result import TrainResult
from matlake.regress.heads.verdict import FOREST, Outcome, comparisons_of, verdict_lines
from matlake.text_tables import plain_lines

ENERGIES = "elemnet-oqmd-formation-energy"
GAPS = "elemnet-oqmd-band-gap"


def names(lake: matlake.Lake, target: str) -> list[str]:
    return [one.card.name for one in predicting_encoders(lake, target)]


def test_encoders_are_found_by_quantity_and_unit(embedded: matlake.Lake) -> None:
    assert set(names(embedded, "expt_band_gap_eV")) == {
        GAPS,
        *(f"{architecture}-mp-multitask" for architecture in ("cgcnn", "dimenet++", "schnet")),
    }
    energies = names(embedded, "formation_enthalpy_eV_per_atom")
    assert {ENERGIES, CRYSTAL_ENCODER} <= set(energies)
    assert not {f"{ENERGIES}-int8", "chgnet-mptrj", "elemnet-oqmd-total-energy"} & set(energies)
    assert not names(embedded, "formation_enthalpy_kJ_per_mol")
    assert not names(embedded, "bulk_modulus_GPa")


def test_an_encoder_stands_beside_the_head_on_the_same_rows(embedded: matlake.Lake, trained: TrainResult) -> None:
    found = {one.name: one for one in trained.card.more_baselines}
    assert list(found) == [FOREST, f"{GAPS}@prediction"]
    beside = found[f"{GAPS}@prediction"]
    encoder = matlake.open_encoder(embedded.find_encoder(GAPS).folder)
    formulas = [parse_formula(formula) for formula in trained.test.formula.tolist()]
    predicted = encoder.encode(encoder.columns(formulas), "prediction")[:, 0]
    assert beside.metrics.mae == pytest.approx(float(np.abs(predicted - trained.test.y).mean()), rel=1e-5)
    assert beside.head_metrics.mae == pytest.approx(trained.metrics.mae)
    count = len(trained.test.y)
    assert beside.remark == f"up to {count} of the {count} compositions may have been in its training"
    assert beside.exposed == count
    assert f"{GAPS}@prediction" in "\n".join(plain_lines(trained.lines()))


def test_rows_outside_the_training_of_an_encoder_are_preferred() -> None:
    card = find_encoder(CRYSTAL_ENCODER).card
    columns = card.training.columns
    assert columns is not None
    elements = ("Li", "Na", "K", "Rb", "Mg", "Ca", "Sr", "Ba")
    hashes = np.array(
        [parse_formula(f"{a}{n}O{m}").content_hash for a in elements for n in range(1, 9) for m in (3, 7)]
    )
    outside = np.array([part != "train" for part in random_parts(hashes.tolist(), columns.seed, columns.shares)])
    many = np.concatenate([hashes[outside], hashes[outside], hashes[outside], hashes[~outside][:20]])
    rows, exposed, remark = compared_rows(card, "formation_energy_eV_per_atom", many)
    count = int(3 * outside.sum())
    assert (rows.tolist(), exposed) == ([True] * count + [False] * 20, 0)
    assert remark == f"on {count} of {count + 20} test rows, whose compositions were not in its training"
    rows, exposed, remark = compared_rows(card, "formation_energy_eV_per_atom", hashes[~outside][:20])
    assert rows.all()
    assert exposed == 20
    assert remark == "up to 20 of the 20 compositions may have been in its training"


def test_encoders_of_crystals_predict_crystals_and_leave_out_the_others(tmp_path: Path) -> None:
    table = pq.read_table(ELASTIC).slice(0, 8)
    (structures,) = [name for name in table.column_names if name in ("structure", "cif", "poscar")]
    pq.write_table(
        pa.table({structures: table[structures], "formation_energy_eV_per_atom": np.arange(8.0)}),
        tmp_path / "c.parquet",
    )
    pq.write_table(
        pa.table({"formula": ["NaCl", "MgO"], "formation_energy_eV_per_atom": [1.0, 2.0]}), tmp_path / "f.parquet"
    )
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    matlake.import_table(lake, tmp_path / "c.parquet", "c")
    matlake.import_table(lake, tmp_path / "f.parquet", "f")
    target = "formation_energy_eV_per_atom"
    assert any_takes_crystals(lake, target)
    matrix = read_matrix(lake, target, resolve_features(lake, ["fractions"]), crystals=True, training=False)
    registered = lake.find_encoder(CRYSTAL_ENCODER)
    predicted = predict_rows(registered, target, matrix, np.arange(10), seed=0)
    assert np.isfinite(predicted).tolist() == [True] * 8 + [False] * 2
    assert matrix.crystals is not None
    expected = matlake.open_encoder(registered.folder).encode(matrix.crystals.take(np.arange(8)), "prediction")[:, 0]
    assert predicted[:8] == pytest.approx(expected, rel=1e-5)


@pytest.mark.usefixtures("whole_forest")
def test_a_head_that_does_not_win_names_what_to_try(embedded: matlake.Lake) -> None:
    result = matlake.train(embedded, TrainRequest("band_gap_eV", ["fractions"], "knn", name="names-what-to-try"))
    outcomes = {found.baseline: found.outcome for found in comparisons_of(result.card)}
    assert outcomes[FOREST] is Outcome.WORSE
    tips = result.document()["verdict"]["try"]
    assert tips[0] == "features magpie with the model random-forest, which is better here"
    assert any("magpie" in tip and tip.startswith("more features: ") for tip in tips)
    assert not any("geometry" in tip or "cgcnn" in tip for tip in tips), "the rows have no crystals"
    assert "the model auto, which compares all kinds of models" in tips
    assert [line for line in verdict_lines(result.card) if line.startswith("try: ")] == [f"try: {tip}" for tip in tips]


def test_a_forest_on_magpie_is_not_compared_with_itself(embedded: matlake.Lake) -> None:
    result = matlake.train(
        embedded, TrainRequest("band_gap_eV", ["magpie"], "random-forest", where="nelements = 2", name="itself")
    )
    assert [one.name for one in result.card.more_baselines] == [f"{GAPS}@prediction"]
