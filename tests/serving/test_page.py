"""The page in a real browser: type, drop, read the answer, see the error."""

import re
from pathlib import Path

import pyarrow as pa
import pytest
from browser import Workbench
from running_server import Running
from selenium.webdriver.common.by import By

import matlake
from matlake.regress.heads.storage import load_head
from matlake.serving.examples import RUTILE

pytestmark = pytest.mark.usefixtures("quiet")


def test_a_typed_formula_is_answered_with_all_that_is_known(page: Workbench) -> None:
    assert page.text("title") == "Predict the band gap of a material"
    page.open("map")
    page.wait(lambda: page.marks("map") > 100)
    before = page.marks("map")
    page.open("predict")
    page.type("BaZrS3")
    answer = page.answer()
    assert page.text("quantity") == "Band gap"
    assert page.text("material").replace("\n", "") == "BaZrS3"
    assert float(page.text("value").replace("\u2212", "-"))
    assert page.text("unit") == "eV"
    assert page.text("interval").startswith("between ")
    assert "9 of 10 intervals hold the measured value, over many materials" in answer
    assert "It may miss this one." in answer
    assert "The error of this prediction is not known." in page.text("error-words")
    assert " eV on average, and by more than " in page.text("error-words")
    titles = {
        "Near training materials",
        "Low confidence",
        "At the edge of the training set",
        "Far from the training set",
    }
    assert page.text("verdict") in titles or re.fullmatch(r"Interval [\d.]+ eV wide", page.text("verdict"))
    assert len(page.find("nearest").find_elements(By.CSS_SELECTOR, "tbody tr")) == 3
    assert not page.is_shown("crystal-card")
    page.find("to-map").click()
    page.wait(lambda: page.marks("map") > before)  # this material, and the nearest
    assert "The star is the material that was predicted" in page.text("map-words")


def test_a_dropped_structure_is_drawn(page: Workbench, elastic: pa.Table, served_lake: matlake.Lake) -> None:
    reference = load_head(served_lake, "modulus").reference
    assert reference is not None
    row = elastic["material_id"].to_pylist().index(reference.material_id[0])
    page.select("head", "modulus")
    page.wait(lambda: page.text("title") == "Predict the bulk modulus VRH of a material")
    assert not page.is_shown("formula")
    page.drop((elastic["poscar"][row].as_py(), "some.vasp"))
    page.answer()
    assert page.text("unit") == "GPa"
    assert page.text("known").startswith("This crystal is in the training set: ")
    page.drawn("#crystal")
    assert page.find("legend").find_elements(By.TAG_NAME, "li")
    assert "Å" in page.text("crystal-words")


def test_a_chosen_file_and_the_example_are_answered(page: Workbench, tmp_path: Path) -> None:
    (tmp_path / "rutile.vasp").write_text(RUTILE)
    page.find("file").send_keys(str(tmp_path / "rutile.vasp"))
    page.answer()
    value = page.text("value")
    page.find("rutile").click()
    page.answer()
    assert page.text("value") == value
    assert "6 atoms in a cell of 4.59 × 4.59 × 2.96 Å" in page.text("crystal-words")


def test_new_elements_are_named(page: Workbench) -> None:
    page.type("PuN")
    page.answer()
    assert page.text("warnings").startswith("Low confidence: ")
    assert "training material contains Pu" in page.text("warnings") or "training materials contain Pu" in page.text(
        "warnings"
    )
    assert page.text("verdict") not in ("Near training materials", "")


def test_no_text_vouches_for_a_prediction(page: Workbench, bench: Running) -> None:
    """Of 0.0 eV for SiO2 (8.9 measured) version 0.1.0 said that the interval holds."""
    page.type("SiO2")
    answer = page.answer().lower()
    for promise in ("the interval holds", "were used for training", "inside the applicability domain"):
        assert promise not in answer
    reply = bench.post("/v1/predict", {"head": "gap", "formulas": ["SiO2"]}).document
    notes = [item.text for item in page.find("notes").find_elements(By.TAG_NAME, "li")]
    assert [note.removesuffix(".").lower() for note in notes] == [note.lower() for note in reply["notes"]]
    for warning in reply["predictions"][0]["warnings"]:
        assert warning in page.text("warnings")
    if not reply["score_ranks_errors"]:
        assert page.text("gauge") == ""
        assert any("does not rank errors" in note for note in notes)


@pytest.mark.parametrize(
    ("formula", "reason"),
    [
        ("Unobtainium", "Unobtainium"),
        ("Na+", "charge, sign or range"),
        ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
    ],
)
def test_nonsense_is_explained_and_runs_nothing(page: Workbench, formula: str, reason: str) -> None:
    page.type(formula)
    assert reason in page.problem()
    assert page.find("problem").find_elements(By.TAG_NAME, "img") == []
    page.type("TiO2")
    page.answer()


def test_a_dropped_file_that_is_no_crystal_is_explained(page: Workbench) -> None:
    page.drop(("this is a shopping list", "list.txt"))
    assert "neither CIF nor POSCAR" in page.problem()


def test_hostile_text_in_a_file_stays_text(page: Workbench) -> None:
    page.drop((RUTILE.replace("Ti O", "<script>alert(1)</script> O"), "bad.vasp"))
    assert "<script>" in page.problem()


def test_a_head_with_columns_has_a_field_for_each(page: Workbench) -> None:
    page.select("head", "gap_of_T")
    field = page.find("columns").find_element(By.TAG_NAME, "input")
    assert page.text("columns") == "Temperature, K (100 to 600 in training)"
    page.type("GaAs")
    assert "no value of temperature_K (in K)" in page.problem()
    shown: list[str] = []
    for kelvin in ("300", "600"):
        field.clear()
        field.send_keys(f"{kelvin}\n")
        page.wait(lambda: page.is_shown("answer") and page.text("value") not in ("", *shown))
        shown.append(page.text("value"))
        assert not page.is_shown("problem")
    assert float(shown[0]) > float(shown[1])
    page.drop((RUTILE, "rutile.vasp"))
    page.wait(lambda: page.text("material").replace("\n", "") == "TiO2, temperature 600 K")


def test_nothing_is_loaded_from_elsewhere(page: Workbench, bench: Running) -> None:
    page.type("BaZrS3")
    page.answer()
    loaded = page.run("return performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert loaded
    assert all(name.startswith(bench.url) for name in loaded)
