"""A head in a notebook: it predicts for whatever a notebook holds, and is compared, written, exported and deleted."""

import copy
import pickle
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sample_crystals import caesium_chloride, rock_salt
from samples import ENCODER

import matlake
from matlake.errors import HeadError, MatlakeError, SourceError
from matlake.materials.crystal import Crystal
from matlake.materials.structure_files.poscar_writer import poscar_text
from matlake.regress.heads.train_result import TrainResult

FEATURE = f"{ENCODER}@13"
FORMULAS = ["GaN", "TiO2"]


def poscar(crystal: Crystal) -> str:
    rows = (crystal.numbers.tolist(), crystal.lattice.ravel().tolist(), crystal.positions.ravel().tolist())
    return poscar_text("a crystal", *rows)


def atoms(crystal: Crystal) -> SimpleNamespace:
    """What ASE's Atoms have, for tests without ASE."""
    return SimpleNamespace(
        numbers=crystal.numbers,
        cell=crystal.lattice,
        positions=crystal.positions @ crystal.lattice,
        pbc=(True, True, True),
    )


def values(predictions: object) -> list[float]:
    return [one.value for one in predictions.predictions]  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def stiff(crystals: matlake.Lake) -> matlake.Head:
    return crystals.head("stiff")


def test_training_returns_a_head_that_is_compared_reported_exported_and_deleted(
    embedded: matlake.Lake, gap: matlake.Head, tmp_path: Path
) -> None:
    head = embedded.train(
        "band_gap_eV", "magpie", model="ridge", name="other", transform="none", max_fits=6, progress=False
    )
    assert (head.name, head.card.model.kind) == ("other", "ridge")
    assert isinstance(head.training, TrainResult)
    assert head.metrics == head.training.metrics
    rows = head.training.to_pandas()
    assert np.abs(rows["predicted"] - rows["measured"]).mean() == pytest.approx(head.metrics.mae)
    assert embedded.head("other").training is None
    assert gap.compare(head).better == embedded.heads.compare(gap.name, "other").better
    assert head.report(tmp_path / "other.html") == [tmp_path / "other.html"]
    assert (head.export(tmp_path / "exported") / "card.json").is_file()
    embedded.heads.delete("other")
    assert "other" not in embedded.heads
    with pytest.raises(HeadError, match="there is no head 'other'"):
        embedded.head("other")


@pytest.mark.parametrize(
    "given",
    [
        FORMULAS,
        tuple(FORMULAS),
        pd.Series(FORMULAS),
        pl.Series(FORMULAS),
        pa.array(FORMULAS),
        np.array(FORMULAS),
        pd.DataFrame({"formula": FORMULAS, "x": [1, 2]}),
        pl.DataFrame({"composition": FORMULAS}),
        pa.table({"formula": FORMULAS}),
        {"formula": FORMULAS},
        [matlake.parse_formula(one) for one in FORMULAS],
        [{"Ga": 1, "N": 1}, {"Ti": 1.0, "O": 2.0}],
    ],
    ids=lambda given: type(given).__module__.partition(".")[0] + type(given).__name__,
)
def test_a_head_predicts_for_formulas_in_any_container(gap: matlake.Head, given: object) -> None:
    found = gap.predict(given)
    assert [one.input for one in found.predictions] == FORMULAS
    assert values(found) == pytest.approx(values(gap.predict(FORMULAS)), abs=1e-5)


def test_what_cannot_be_read_keeps_its_row_and_says_why(gap: matlake.Head) -> None:
    frame = gap.predict(["GaN", "Xx", None, "TiO2"]).to_pandas()
    assert frame["input"].tolist() == ["GaN", "Xx", None, "TiO2"]
    assert frame["value"].isna().tolist() == frame["failure"].notna().tolist() == [False, True, True, False]
    mixed = gap.predict([rock_salt(), 5, matlake.parse_formula("TiO2")]).to_pandas()
    assert mixed["input"].tolist() == ["NaCl", None, "TiO2"]
    assert "neither a structure nor a formula" in mixed["failure"][1]


def test_a_head_predicts_for_structures_of_any_kind(stiff: matlake.Head, tmp_path: Path) -> None:
    crystals = [rock_salt(), caesium_chloride()]
    expected = values(stiff.predict(crystals))
    assert [one.input for one in stiff.predict(crystals).predictions] == ["NaCl", "CsCl"]
    assert values(stiff.predict([atoms(one) for one in crystals])) == pytest.approx(expected, rel=1e-4)
    assert values(stiff.predict(atoms(crystals[1]))) == pytest.approx(expected[1:], rel=1e-4)
    assert values(stiff.predict(pd.DataFrame({"structure": crystals}))) == pytest.approx(expected, rel=1e-4)
    for name, crystal in zip(("a.vasp", "b.vasp"), crystals, strict=True):
        (tmp_path / name).write_text(poscar(crystal))
    for given in ([tmp_path / "a.vasp", tmp_path / "b.vasp"], tmp_path, str(tmp_path)):
        assert values(stiff.predict(given)) == pytest.approx(expected, rel=1e-4)
    assert values(stiff.predict(str(tmp_path / "a.vasp"))) == pytest.approx(expected[:1], rel=1e-4)
    two_rows = pd.DataFrame({"cell": [poscar(one) for one in crystals]})
    assert values(stiff.predict(two_rows, structure="cell")) == pytest.approx(expected, rel=1e-4)
    with pytest.raises(HeadError, match="needs crystal structures"):
        stiff.predict(FORMULAS)


def test_a_file_is_predicted_row_by_row_into_another(gap: matlake.Head, tmp_path: Path) -> None:
    pd.DataFrame({"name": FORMULAS}).to_csv(tmp_path / "new.csv", index=False)
    written = gap.predict(tmp_path / "new.csv", formula="name", output=tmp_path / "out.csv")
    assert (written.rows, written.n_failed) == (2, 0)
    again = pd.read_csv(tmp_path / "out.csv")["predicted_band_gap_eV"].tolist()
    assert again == pytest.approx(values(gap.predict(FORMULAS)))
    with pytest.raises(SourceError, match="cannot go to"):
        gap.predict(FORMULAS, output=tmp_path / "other.csv")  # type: ignore[call-overload]
    with pytest.raises(SourceError, match="has no columns"):
        gap.predict(FORMULAS, formula="name")


def test_text_is_a_file_only_where_one_is_there_and_it_is_no_formula(
    gap: matlake.Head, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("GaN", "mine.csv"):
        Path(name).write_text("formula\nTiO2\n")
    assert [one.input for one in gap.predict("GaN").predictions] == ["GaN"]
    assert [one.input for one in gap.predict("mine.csv").predictions] == ["TiO2"]
    assert gap.predict("other.csv").failed[0].input == "other.csv"


def test_a_head_of_several_targets_predicts_all_of_them(crystals: matlake.Lake, stiff: matlake.Head) -> None:
    targets = ["bulk_modulus_VRH_GPa", "shear_modulus_VRH_GPa"]
    assert [card.target for card in stiff.cards] == targets
    assert list(crystals.heads) == ["stiff"]
    frame = stiff.predict([rock_salt(), caesium_chloride()]).to_pandas()
    assert frame["target"].tolist() == [targets[0]] * 2 + [targets[1]] * 2
    assert frame["input"].tolist() == ["NaCl", "CsCl"] * 2
    assert frame["value"].notna().all()
    assert all(f"stiff:{target}" in repr(stiff) for target in targets)


def test_predictions_for_a_dataset_are_returned_saved_or_written(
    embedded: matlake.Lake, gap: matlake.Head, tmp_path: Path
) -> None:
    frame = gap.predict_dataset("gaps").to_pandas()
    assert len(frame) == 307
    assert frame["dataset"].eq("gaps").all()
    assert frame["formula"].notna().all()
    own = matlake.open_lake(shutil.copytree(embedded.path, tmp_path / "lake"))
    saved = own.head(gap.name).predict_dataset(where="material_id < 'gaps-2'", save=True, progress=False)
    assert saved.saved == own.sql("SELECT * FROM predictions").df()["material_id"].nunique()
    assert gap.predict_dataset("gaps", output=tmp_path / "all.parquet").rows == 307


def test_a_head_suggests_what_to_measure(embedded: matlake.Lake, gap: matlake.Head, tmp_path: Path) -> None:
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    lake.add(pd.DataFrame({"formula": ["GaN", "TiO2", "MgO", "NaCl"]}), dataset="new", progress=False)
    lake.embed(FEATURE, f"{ENCODER}@16", progress=False)
    gap.export(tmp_path / "lake" / "heads" / "gap")
    found = lake.suggest("gap", 2)
    assert found.to_pandas()["score"].tolist() == [one.score for one in found.suggestions]
    assert lake.head("gap").suggest(1, near=2.0, dataset="new").suggestions[0].prediction.dataset == "new"
    assert set(found.to_pandas()["formula"]) <= {"GaN", "TiO2", "MgO", "NaCl"}
    assert embedded.path != lake.path


def test_a_head_that_was_asked_is_copied_and_pickled(gap: matlake.Head) -> None:
    expected = values(gap.predict("GaN"))
    for again in (pickle.loads(pickle.dumps(gap)), copy.deepcopy(gap)):  # noqa: S301
        assert values(again.predict("GaN")) == expected


def test_a_molecule_is_one_input_and_says_so(gap: matlake.Head) -> None:
    molecule = SimpleNamespace(sites=[1, 2])
    assert "molecule" in gap.predict(molecule).failed[0].reason


def test_predictions_for_a_dataset_can_be_merged_by_id(gap: matlake.Head, embedded: matlake.Lake) -> None:
    frame = gap.predict_dataset("gaps", where="nelements = 2").to_pandas()
    ids = embedded.sql("SELECT material_id FROM gaps WHERE nelements = 2").df()
    assert len(frame.merge(ids, on="material_id")) == len(ids)


def test_a_purpose_that_there_is_not_is_named(gap: matlake.Head) -> None:
    with pytest.raises(HeadError, match="unknown purpose 'best'"):
        gap.suggest(purpose="best")


def test_values_of_columns_come_by_name_one_by_one_or_in_a_frame(series: matlake.Lake) -> None:
    head = matlake.open_lake(series.path).head("gap_of_T")
    expected = values(head.predict(FORMULAS, columns={"temperature_K": [300, 600]}))
    for frame in (pd.DataFrame({"temperature_K": [300, 600]}, index=[7, 8]), pa.table({"temperature_K": [300, 600]})):
        assert values(head.predict(FORMULAS, columns=frame)) == expected
    table = pd.DataFrame({"formula": FORMULAS})
    assert values(head.predict(table.assign(temperature_K=[300, 600]))) == expected
    with pytest.raises(SourceError, match="several values of temperature_K are given beside the DataFrame"):
        head.predict(table, columns={"temperature_K": [300, 600]})
    with pytest.raises(MatlakeError, match="columns is a list"):
        head.predict(FORMULAS, columns=[300, 600])  # type: ignore[arg-type]
