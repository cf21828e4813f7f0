"""Descriptors as features: no ``embed`` before ``train``, and every row accounted for."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

import matlake
from matlake.encoders.encoder import open_encoder
from matlake.materials.compositions import element_fractions
from matlake.materials.formula import parse_formula
from matlake.regress.features import descriptors
from matlake.regress.features.feature import resolve_features
from matlake.regress.features.matrix import read_matrix

ENCODER = "elemnet-oqmd-formation-energy"
TARGET = "band_gap_eV"


def rows(lake: matlake.Lake) -> int:
    (count,) = lake.query("SELECT count(*) AS n FROM embeddings")["n"].to_pylist()
    return int(count)


def test_vectors_are_made_on_the_spot(lake, monkeypatch) -> None:
    monkeypatch.setattr(descriptors, "CHUNK_ROWS", 64)
    features = resolve_features(lake, ["magpie", "fractions"])
    matrix = read_matrix(lake, TARGET, features)
    fractions = element_fractions([parse_formula(formula) for formula in matrix.formula.tolist()])
    encoder = open_encoder(lake.find_encoder("magpie").folder)
    assert matrix.x.shape == (300, 145 + 86)
    assert np.array_equal(matrix.x[:, :145], encoder.encode(fractions))
    assert np.array_equal(matrix.x[:, 145:], fractions)
    assert not matrix.missing
    assert rows(lake) == 0


def test_the_lake_keeps_the_descriptor_that_was_used(lake) -> None:
    read_matrix(lake, TARGET, resolve_features(lake, ["magpie"]))
    assert not lake.find_encoder("magpie").shipped


def test_descriptors_and_embedded_layers_stand_side_by_side(lake) -> None:
    matlake.embed(lake, [f"{ENCODER}@16"], where="nelements > 2")
    both = read_matrix(lake, TARGET, resolve_features(lake, [f"{ENCODER}@16", "fractions"]))
    one = read_matrix(lake, TARGET, resolve_features(lake, ["fractions"]), where="nelements > 2")
    assert np.array_equal(both.x[:, 32:], one.x)
    assert both.material_id.tolist() == one.material_id.tolist()
    assert {(row.feature, row.reason) for row in both.missing} == {(f"{ENCODER}@16", "not embedded")}


def test_rows_that_a_descriptor_refuses_are_missing_with_the_reason(tmp_path: Path, write_table: Callable) -> None:
    formulas = ["Fe", "Co", "Ni", "He", "Cu", "Zn", "Al", "XeF2", "Mg", "Ca", "Ti", "NaAt", "V"]
    table = write_table(formula=formulas, energy_eV=[float(i) for i in range(13)])
    lake = matlake.open_lake(tmp_path / "small", create=True)
    matlake.import_table(lake, table, "small")
    matrix = read_matrix(lake, "energy_eV", resolve_features(lake, ["magpie"]))
    assert {(row.material_id, row.feature, row.reason) for row in matrix.missing} == {
        ("small-3", "magpie@attributes", "element He is not among the 86 of this encoder"),
        ("small-11", "magpie@attributes", "element At is not among the 86 of this encoder"),
    }
    assert len(matrix.x) == len(matrix.y) == len(matrix.fractions) == 11
    assert np.isfinite(matrix.x).all()


def test_polymorphs_share_a_descriptor(tmp_path: Path, write_table: Callable) -> None:
    lake = matlake.open_lake(tmp_path / "small", create=True)
    matlake.import_table(lake, write_table(formula=["TiO2", "Ti2O4"] * 6, energy_eV=list(range(12))), "small")
    matrix = read_matrix(lake, "energy_eV", resolve_features(lake, ["magpie"]))
    assert len(np.unique(matrix.x, axis=0)) == 1


def test_a_head_on_descriptors_is_trained_and_used_without_embedding(lake) -> None:
    from matlake.regress.heads.request import TrainRequest
    from matlake.regress.heads.train import train
    from matlake.regress.prediction.predict import predict

    train(lake, TrainRequest(TARGET, ["magpie", "fractions"], "ridge", name="gap"))
    answered = predict(lake, "gap", ["GaAs", "He"])
    assert [p.input for p in answered.predictions] == ["GaAs"]
    assert "element He" in answered.failed[0].reason
    assert rows(lake) == 0
