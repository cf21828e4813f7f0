"""Encoding without a lake: the vectors that embedding stores, and a reason for each material that has none."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from ase import Atoms
from ase.build import bulk
from numpy.typing import NDArray
from pymatgen.core import Composition, Lattice, Structure
from sample_crystals import caesium_chloride, cubic, handmade, perovskite, rock_salt
from samples import CRYSTAL_ENCODER, ENCODER
from structures import POSCAR

import matlake
from matlake.api.adding import add
from matlake.encoders import encode as encode_module
from matlake.encoders import shard_sizes
from matlake.encoders.card import InputKind
from matlake.encoders.encode import EncodingFailure, encode
from matlake.encoders.encoder import open_encoder
from matlake.encoders.registry import SHIPPED
from matlake.errors import EncoderError, MatlakeError, MissingExtraError, NotEncodedError, NotEncodedWarning
from matlake.materials.crystal import Crystal
from matlake.progress import Progress

FEATURES = "magpie,geometry"


def embedded(lake: matlake.Lake, dataset: str, rows: int) -> NDArray[np.float32]:
    """Return what ``embed`` stores of magpie, then of geometry, in the order of the rows."""
    matlake.embed(lake, FEATURES.split(","), dataset=dataset)
    found = lake.query(
        f"SELECT m.vector AS magpie, g.vector AS geometry FROM embed.magpie AS m JOIN embed.geometry AS g "
        f"USING (dataset, material_id) WHERE dataset = '{dataset}' "
        "ORDER BY CAST(split_part(material_id, '-', 2) AS INTEGER)"
    ).to_pylist()
    assert len(found) == rows
    return np.array([[*row["magpie"], *row["geometry"]] for row in found], dtype=np.float32)


@pytest.fixture
def lake(tmp_path: Path) -> matlake.Lake:
    return matlake.open_lake(tmp_path / "lake", create=True)


def test_the_vectors_are_those_that_embedding_stores(lake: matlake.Lake) -> None:
    crystals = [
        *(one for name, one in handmade().items() if name != "isolated atom"),
        *(cubic("Cs Cl", 3.9 + edge / 100, [(0, 0, 0), (0.5, 0.5, 0.5)]) for edge in range(40)),
    ]
    add(lake, crystals, "d")
    assert np.array_equal(encode(crystals, FEATURES), embedded(lake, "d", len(crystals)))


def test_layers_stand_side_by_side_in_the_order_of_the_features() -> None:
    crystals = [caesium_chloride(), perovskite()]
    both = encode(crystals, [f"{CRYSTAL_ENCODER}@1", "magpie", f"{CRYSTAL_ENCODER}@2"])
    parts = [encode(crystals, one) for one in (f"{CRYSTAL_ENCODER}@1", "magpie", f"{CRYSTAL_ENCODER}@2")]
    assert np.array_equal(both, np.hstack(parts))
    card = open_encoder(SHIPPED / CRYSTAL_ENCODER).card
    width = sum(layer.dim for layer in card.hidden_layers)
    assert encode(crystals, f"{CRYSTAL_ENCODER}@all").shape == (2, width)


def structure() -> Structure:
    return Structure(Lattice.cubic(4.123), ["Cs", "Cl"], [[0, 0, 0], [0.5, 0.5, 0.5]])


@pytest.mark.parametrize(
    "materials",
    [
        structure(),
        [structure()],
        (bulk("CsCl", "cesiumchloride", a=4.123),),
        bulk("CsCl", "cesiumchloride", a=4.123),
        structure().as_dict(),
        POSCAR,
        pd.Series([structure()], index=["mp-1"]),
        pd.DataFrame({"structure": [structure()]})["structure"],
        pl.Series([POSCAR]),
        pa.array([POSCAR]),
        np.array([structure(), None], dtype=object)[:1],
        (one for one in [structure()]),
    ],
    ids=lambda materials: type(materials).__name__,
)
def test_every_form_of_one_structure_has_the_same_vector(materials: object) -> None:
    expected = encode(
        Crystal(np.array([55, 17], np.int16), np.eye(3) * 4.123, np.array([[0, 0, 0], [0.5] * 3])), "geometry"
    )
    assert expected.shape[0] == 1
    assert np.allclose(encode(materials, "geometry"), expected, rtol=1e-6, atol=1e-6)


def test_formulas_and_structures_share_a_column_for_encoders_of_compositions() -> None:
    found = encode(["CsCl", structure(), Composition("Cs2Cl2"), {"Cs": 1, "Cl": 1}, "Cl1Cs1"], "magpie")
    assert found.dtype == np.float32
    assert (found == found[0]).all()


def test_nothing_gives_an_empty_matrix() -> None:
    assert encode([], "magpie").shape == (0, 145)


def test_equal_contents_are_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = []
    encode_finite = encode_module.Encoder.encode_finite

    def counted(self: object, inputs: object, layers: object) -> object:
        lengths.append(len(inputs))
        return encode_finite(self, inputs, layers)

    monkeypatch.setattr(encode_module.Encoder, "encode_finite", counted)
    found = encode(["TiO2", "NaCl", "Ti2O4", "HeO", "NaCl", "He2O2"], "magpie", return_failures=True)
    assert lengths == [2]
    assert np.array_equal(found[0][0], found[0][2])
    assert np.array_equal(found[0][1], found[0][4])
    assert [failure.row for failure in found[1]] == [3, 5]


def test_materials_without_a_vector_raise_by_default() -> None:
    with pytest.raises(
        NotEncodedError, match=r"^2 of 3 materials cannot be encoded: row 1: .*helium|He is not.*row 2"
    ) as caught:
        encode(["TiO2", "HeO", None], "magpie")
    assert [failure.row for failure in caught.value.failures] == [1, 2]
    assert "errors='nan'" in caught.value.hint


def test_or_they_are_rows_of_nan_with_a_warning_or_reasons() -> None:
    materials = ["TiO2", "unobtainium", None, structure()]
    with pytest.warns(NotEncodedWarning, match="2 of 4 materials cannot be encoded"):
        vectors = encode(materials, "magpie", errors="nan")
    assert np.isnan(vectors).all(axis=1).tolist() == [False, True, True, False]
    again, failures = encode(materials, "magpie", return_failures=True)
    assert np.array_equal(again, vectors, equal_nan=True)
    assert failures[1] == EncodingFailure(2, "no formula and no structure")
    assert str(failures[1]) == "row 2: no formula and no structure"


def test_a_row_that_one_encoder_does_not_take_is_nan_throughout() -> None:
    disordered = Structure(Lattice.cubic(4.0), [{"Fe": 0.5, "Mn": 0.5}, "O"], [[0, 0, 0], [0.5, 0.5, 0.5]])
    vectors, failures = encode(["CsCl", structure(), disordered], FEATURES, return_failures=True)
    assert np.isnan(vectors).all(axis=1).tolist() == [True, False, True]
    assert failures[0].reason == "no crystal structure"
    assert failures[1].reason.startswith("disordered: a site holds")
    assert np.isfinite(encode(disordered, "magpie")).all()


def test_what_an_import_refuses_is_refused(lake: matlake.Lake) -> None:
    materials = [
        caesium_chloride(),
        cubic("Cs Cl", 4.12, [(0, 0, 0), (0, 0, 0.05)]),
        Atoms("CsCl", [[0, 0, 0], [2, 2, 2]]),
        rock_salt(),
    ]
    report = add(lake, materials, "d", max_atoms=5)
    _, failures = encode(materials, "magpie", return_failures=True, max_atoms=5)
    assert report.failed == len(failures) == 3
    assert [(failure.row, failure.reason) for failure in failures] == report.examples


def test_one_bad_structure_in_many_costs_its_row() -> None:
    crystals: list[object] = [cubic("Cs Cl", 3.9 + edge / 1000, [(0, 0, 0), (0.5, 0.5, 0.5)]) for edge in range(300)]
    crystals[137] = None
    vectors, failures = encode(crystals, "geometry", return_failures=True)
    assert [failure.row for failure in failures] == [137]
    assert np.isnan(vectors).all(axis=1).sum() == 1


def test_small_shards_and_several_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    crystals = [cubic("Cs Cl", 3.9 + edge / 100, [(0, 0, 0), (0.5, 0.5, 0.5)]) for edge in range(50)]
    whole = encode(crystals, FEATURES, workers=1)
    monkeypatch.setitem(shard_sizes.MOST_CONTENTS, InputKind.CRYSTAL, {"cpu": 7})
    done: list[tuple[int, int]] = []
    small = encode(crystals, FEATURES, workers=3, progress=Progress(track=lambda *numbers: done.append(numbers)))
    assert np.allclose(small, whole, rtol=1e-5, atol=1e-6)
    assert done[-1] == (100, 100)
    assert [numbers[0] for numbers in done] == sorted(numbers[0] for numbers in done)


def test_the_folder_of_an_encoder_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(SHIPPED / ENCODER, folder)
    expected = encode("TiO2", f"{ENCODER}@13")
    assert np.array_equal(encode("TiO2", f"{folder}@13"), expected)
    assert np.array_equal(encode("TiO2", [f"{folder}@13", "magpie"])[:, : expected.shape[1]], expected)
    monkeypatch.chdir(tmp_path)
    assert np.array_equal(encode("TiO2", Path("mine")), encode("TiO2", ENCODER))
    with pytest.raises(EncoderError, match="no encoder named 'mine'"):
        encode("TiO2", "mine")
    with pytest.raises(EncoderError, match="no_such"):
        encode("TiO2", Path("no_such"))


@pytest.mark.parametrize(
    ("materials", "encoder", "error", "reason"),
    [
        ("TiO2", "unknown", EncoderError, "no encoder named 'unknown'"),
        ("TiO2", "magpie@9", EncoderError, "magpie"),
        ("TiO2", "magpie,magpie", EncoderError, "is named twice"),
        ("TiO2", [], EncoderError, "no encoder is named"),
        ("TiO2", "", EncoderError, "no encoder is named"),
        (pd.DataFrame({"formula": ["TiO2"]}), "magpie", MatlakeError, "a DataFrame where a list should be"),
        (5, "magpie", MatlakeError, "one int where a list should be"),
        (np.zeros((2, 2)), "magpie", MatlakeError, "an array of 2 dimensions where a list should be"),
    ],
)
def test_wrong_calls_say_what_is_wrong(materials: object, encoder: str, error: type, reason: str) -> None:
    with pytest.raises(error, match=reason):
        encode(materials, encoder)


def test_devices_and_the_handling_of_errors_are_checked() -> None:
    with pytest.raises(MatlakeError, match="errors='ignore'"):
        encode("TiO2", "magpie", errors="ignore")  # type: ignore[call-overload]
    with pytest.raises(MissingExtraError, match="unknown device"):
        encode("TiO2", "magpie", device="tpu")


def test_an_encoder_stays_open_for_the_next_call() -> None:
    encode("TiO2", "magpie")
    before = encode_module._opened.cache_info().misses
    encode("NaCl", "magpie")
    assert encode_module._opened.cache_info().misses == before


def test_neither_the_store_nor_libraries_of_training_are_imported() -> None:
    code = (
        "import sys, matlake; matlake.encode(sys.argv[1], 'geometry'); "
        "print({'duckdb', 'deltalake', 'narwhals', 'pandas', 'torch', 'sklearn', 'pymatgen', 'ase'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, POSCAR], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
