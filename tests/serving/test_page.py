"""The page in a real browser: type, drop, read the answer, see the error."""

import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from browser import complaints, headless_browser
from running_server import Running, serving
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import Select, WebDriverWait

import matlake
from matlake.regress.heads.storage import load_head
from matlake.serving.examples import RUTILE

PATIENCE_S = 30
KEY = "a-key-of-more-than-16"
DROP = """
const files = new DataTransfer();
files.items.add(new File([arguments[1]], arguments[2]));
arguments[0].dispatchEvent(new DragEvent("drop", {dataTransfer: files, bubbles: true, cancelable: true}));
"""


class Page:
    """What a person sees and does."""

    def __init__(self, browser: Chrome, server: Running) -> None:
        self.browser = browser
        browser.get(server.url)
        self.wait(lambda: self.text("title") != "Predict a property of a material" or self.is_shown("problem"))

    def find(self, name: str) -> WebElement:
        return self.browser.find_element(By.ID, name)

    def text(self, name: str) -> str:
        return self.find(name).text

    def is_shown(self, name: str) -> bool:
        return self.find(name).is_displayed()

    def wait(self, condition: object) -> None:
        WebDriverWait(self.browser, PATIENCE_S, 0.05).until(lambda _: condition())  # type: ignore[operator]

    def type(self, formula: str) -> None:
        field = self.find("formula")
        field.clear()
        field.send_keys(formula + "\n")

    def drop(self, text: str, name: str = "crystal.cif") -> None:
        self.browser.execute_script(DROP, self.find("drop"), text, name)  # type: ignore[no-untyped-call]

    def answer(self) -> str:
        self.wait(lambda: self.is_shown("answer") and self.find("predict").is_enabled() and not self.text("status"))
        assert not self.is_shown("problem")
        return self.text("answer")

    def problem(self) -> str:
        self.wait(lambda: self.is_shown("problem"))
        assert not self.is_shown("answer")
        return self.text("problem")

    def marks(self, plot: str) -> int:
        """Return how many materials the map shows."""
        count = self.browser.execute_script(  # type: ignore[no-untyped-call]
            f"return document.querySelectorAll('#{plot} .scatterlayer path.point').length"
        )
        return int(count)


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    with headless_browser(1280, 1400) as started:
        yield started


@pytest.fixture
def page(browser: Chrome, server: Running) -> Iterator[Page]:
    """The page, whose scripts have had nothing to complain about in the end."""
    complaints(browser)
    yield Page(browser, server)
    severe = complaints(browser)
    # plotly would like to add the style of its geographic maps, which the content security policy does not let it
    assert [message for message in severe if "plotly.min.js" not in message or "inline style" not in message] == []


def test_a_typed_formula_is_answered_with_all_that_is_known(page: Page) -> None:
    assert page.text("title") == "Predict the band gap of a material"
    page.wait(lambda: page.marks("map") > 100)
    before = page.marks("map")
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
    page.wait(lambda: page.marks("map") > before)  # this material, and the nearest


def test_a_dropped_structure_is_drawn(page: Page, elastic: pa.Table, served_lake: matlake.Lake) -> None:
    reference = load_head(served_lake, "modulus").reference
    assert reference is not None
    row = elastic["material_id"].to_pylist().index(reference.material_id[0])
    Select(page.find("head")).select_by_value("modulus")
    page.wait(lambda: page.text("title") == "Predict the bulk modulus VRH of a material")
    assert not page.is_shown("formula")
    page.drop(elastic["poscar"][row].as_py(), "some.vasp")
    page.answer()
    assert page.text("unit") == "GPa"
    assert page.text("known").startswith("This crystal is in the training set: ")
    page.wait(lambda: page.find("crystal").find_elements(By.TAG_NAME, "canvas"))
    assert page.find("legend").find_elements(By.TAG_NAME, "li")
    assert "Å" in page.text("crystal-words")


def test_a_chosen_file_and_the_example_are_answered(page: Page, tmp_path: Path) -> None:
    (tmp_path / "rutile.vasp").write_text(RUTILE)
    page.find("file").send_keys(str(tmp_path / "rutile.vasp"))
    page.answer()
    value = page.text("value")
    page.find("rutile").click()
    page.answer()
    assert page.text("value") == value
    assert "6 atoms in a cell of 4.59 × 4.59 × 2.96 Å" in page.text("crystal-words")


def test_new_elements_are_named(page: Page) -> None:
    page.type("PuN")
    page.answer()
    assert page.text("warnings").startswith("Low confidence: ")
    assert "training material contains Pu" in page.text("warnings") or "training materials contain Pu" in page.text(
        "warnings"
    )
    assert page.text("verdict") not in ("Near training materials", "")


def test_no_text_vouches_for_a_prediction(page: Page, server: Running) -> None:
    """Of 0.0 eV for SiO2 (8.9 measured) version 0.1.0 said that the interval holds."""
    page.type("SiO2")
    answer = page.answer().lower()
    for promise in ("the interval holds", "were used for training", "inside the applicability domain"):
        assert promise not in answer
    reply = server.post("/v1/predict", {"head": "gap", "formulas": ["SiO2"]}).document
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
def test_nonsense_is_explained_and_runs_nothing(page: Page, formula: str, reason: str) -> None:
    page.type(formula)
    assert reason in page.problem()
    assert page.find("problem").find_elements(By.TAG_NAME, "img") == []
    page.type("TiO2")
    page.answer()


def test_a_dropped_file_that_is_no_crystal_is_explained(page: Page) -> None:
    page.drop("this is a shopping list", "list.txt")
    assert "neither CIF nor POSCAR" in page.problem()


def test_hostile_text_in_a_file_stays_text(page: Page) -> None:
    page.drop(RUTILE.replace("Ti O", "<script>alert(1)</script> O"), "bad.vasp")
    assert "<script>" in page.problem()


def test_an_api_key_is_asked_for_and_used(browser: Chrome, served_lake: matlake.Lake) -> None:
    with serving(served_lake, "gap", api_key=KEY) as (locked, _):
        page = Page(browser, locked)
        assert "An API key is needed" in page.problem()
        page.find("key").send_keys(KEY + "\n")
        page.wait(lambda: not page.is_shown("problem") and page.text("title") == "Predict the band gap of a material")
        page.type("TiO2")
        page.answer()
    page.type("GaN")
    assert "The server does not answer" in page.problem()
    assert page.is_shown("again")


def test_a_head_with_columns_has_a_field_for_each(browser: Chrome, series: matlake.Lake) -> None:
    with serving(series, "gap_of_T") as (running, _):
        page = Page(browser, running)
        field = page.find("columns").find_element(By.TAG_NAME, "input")
        assert page.text("columns") == "Temperature, K (100 to 600 in training)"
        page.type("GaAs")
        assert "no value of temperature_K (in K)" in page.problem()
        shown = []
        for kelvin in ("300", "600"):
            field.clear()
            field.send_keys(f"{kelvin}\n")
            page.wait(lambda: page.is_shown("answer") and page.text("value") not in ("", *shown))
            shown.append(page.text("value"))
            assert not page.is_shown("problem")
        assert float(shown[0]) > float(shown[1])
        page.drop(RUTILE)
        page.wait(lambda: page.text("material").replace("\n", "") == "TiO2, temperature 600 K")
    browser.get("about:blank")


def test_the_page_fits_a_telephone(page: Page) -> None:
    size = {"width": 390, "height": 900, "deviceScaleFactor": 1, "mobile": True}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    page.type("BaZrS3")
    page.answer()
    width = page.browser.execute_script("return document.documentElement.scrollWidth")  # type: ignore[no-untyped-call]
    page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert width == 390


def test_nothing_is_loaded_from_elsewhere(page: Page, server: Running) -> None:
    page.type("BaZrS3")
    page.answer()
    loaded = page.browser.execute_script(  # type: ignore[no-untyped-call]
        "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    )
    assert loaded
    assert all(name.startswith(server.url) for name in loaded)
