"""The structural descriptor as a feature: computed where it is not embedded, and every row accounted for."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from samples import ELASTIC

import matlake
from matlake.encoders.encoder import open_encoder
from matlake.errors import TrainingError
from matlake.materials.crystal import CrystalColumns
from matlake.materials.structure_files.sniff import parse_structure
from matlake.regress.features import feature_reader
from matlake.regress.features.feature import resolve_features
from matlake.regress.features.matrix import Matrix, read_matrix

TARGET = "bulk_modulus_VRH_GPa"
SIMPLE = "x\n1.0\n4 0 0\n0 4 0\n0 0 4\n{}\n1\nDirect\n0 0 0\n"


@pytest.fixture
def table() -> pa.Table:
    return pq.read_table(ELASTIC).slice(0, 40)


@pytest.fixture
def lake(tmp_path: Path, table: pa.Table) -> matlake.Lake:
    """40 real crystals; 12 compositions without crystals; a crystal of an element beyond the tables."""
    pq.write_table(table, tmp_path / "elastic.parquet")
    metals = {"formula": ["Fe", "Co", "Ni", "Cu", "Zn", "Al", "Mg", "Ca", "Ti", "V", "Cr", "Mn"]}
    pq.write_table(pa.table({**metals, TARGET: [float(row) for row in range(12)]}), tmp_path / "metals.parquet")
    pq.write_table(pa.table({"poscar": [SIMPLE.format("Bk")], TARGET: [1.0]}), tmp_path / "heavy.parquet")
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    for name in ("elastic", "metals", "heavy"):
        matlake.import_table(lake, tmp_path / f"{name}.parquet", name)
    return lake


def read(lake: matlake.Lake, *features: str, where: str | None = None) -> Matrix:
    return read_matrix(lake, TARGET, resolve_features(lake, list(features)), where=where)


def test_vectors_are_made_on_the_spot_and_each_missing_row_has_its_reason(lake, table) -> None:
    matrix = read(lake, "geometry", "magpie")
    crystals = dict(
        zip(table["material_id"].to_pylist(), map(parse_structure, table["poscar"].to_pylist()), strict=True)
    )
    columns = CrystalColumns.of([crystals[name] for name in matrix.material_id.tolist()])
    encoder = open_encoder(lake.find_encoder("geometry").folder)
    width = encoder.card.layer(None).dim
    assert matrix.x.shape == (40, width + 145)
    assert np.array_equal(matrix.x[:, :width], encoder.encode(columns))
    reasons = {(row.dataset, row.reason) for row in matrix.missing if row.feature == "geometry@attributes"}
    assert reasons == {
        ("metals", "no crystal structure"),
        ("heavy", "element Bk is not among the 96 of this encoder"),
    }
    assert len(matrix.missing) == 12 + 2
    assert matrix.crystals is None
    assert not lake.find_encoder("geometry").shipped


def test_embedded_vectors_are_read_and_only_the_others_computed(lake, monkeypatch) -> None:
    expected = read(lake, "geometry")
    matlake.embed(lake, ["geometry"], where="nelements > 2")
    (embedded,) = lake.query("SELECT count(*) AS n FROM embeddings")["n"].to_pylist()
    computed = []

    original = feature_reader.describe

    def describe(*arguments: Any) -> list[str | None]:
        computed.append(len(arguments[2]))
        return original(*arguments)

    monkeypatch.setattr(feature_reader, "describe", describe)
    found = read(lake, "geometry")
    assert np.array_equal(found.x, expected.x)
    assert {(one.material_id, one.reason) for one in found.missing} == {
        (one.material_id, one.reason) for one in expected.missing
    }
    assert 0 < embedded < 40
    assert computed == [53 - 12 - embedded]  # twelve have no crystal


def test_rows_without_any_crystal_cannot_be_trained_on(lake) -> None:
    with pytest.raises(TrainingError, match="none of the 12 rows has a crystal structure, which geometry@attributes"):
        read(lake, "geometry", where="dataset = 'metals'")


def test_embedding_lists_one_failure_for_each_crystal_that_cannot_be_described(lake) -> None:
    result = matlake.embed(lake, ["geometry"])
    failures = lake.query("SELECT dataset, reason FROM failures WHERE encoder = 'geometry'").to_pylist()
    assert {(one["dataset"], one["reason"]) for one in failures} == {
        ("metals", "no crystal structure"),
        ("heavy", "element Bk is not among the 96 of this encoder"),
    }
    assert len(failures) == 13
    assert result.embedded == 40


def test_a_head_is_trained_and_predicts_structures_without_embedding(lake, table, tmp_path) -> None:
    from matlake.regress.heads.request import TrainRequest
    from matlake.regress.heads.train import train
    from matlake.regress.prediction.predict import predict_structures

    train(lake, TrainRequest(TARGET, ["geometry", "magpie"], "ridge", name="modulus", where="dataset = 'elastic'"))
    paths = [tmp_path / f"{row}.vasp" for row in range(3)]
    for path, text in zip(paths, [*table["poscar"].to_pylist()[:2], SIMPLE.format("Bk")], strict=True):
        path.write_text(text)
    answered = predict_structures(lake, "modulus", paths)
    assert len(answered.predictions) == 2
    assert all(np.isfinite(one.value) for one in answered.predictions)
    assert [one.reason for one in answered.failed] == ["element Bk is not among the 96 of this encoder"]
    (count,) = lake.query("SELECT count(*) AS n FROM embeddings")["n"].to_pylist()
    assert count == 0
