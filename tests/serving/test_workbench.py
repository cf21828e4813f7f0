"""The page as a workbench in a real browser: tables, datasets, similar materials, reports; for everybody, safely."""

import csv
import io
import json
import math
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from browser import OF_LOOKS, Workbench, saved
from running_server import Running, serving
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

import matlake

HEAD_V1 = Path(__file__).parents[1] / "data" / "head_v1" / "gap-v1"
TABS = ("predict", "table", "datasets", "similar", "map", "report")
KEY = "a-key-of-more-than-16"
HOSTILE = "<img src=x onerror='window.harmed=1'>"


pytestmark = pytest.mark.usefixtures("quiet")


def test_tabs_are_reached_by_keys_and_by_their_address(page: Workbench) -> None:
    page.load("report")
    page.find("tab-report").click()
    reached = []
    for key in (Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_LEFT, Keys.END, Keys.ARROW_LEFT, Keys.HOME):
        page.press(key)
        reached.append(page.focused().removeprefix("tab-"))
        assert page.is_shown(f"panel-{reached[-1]}")
    assert reached == ["predict", "table", "predict", "report", "map", "predict"]
    shown = [tab.get_attribute("id") for tab in page.all('[role="tab"]') if tab.get_attribute("tabindex") != "-1"]
    assert shown == ["tab-predict"]
    assert page.all('[role="tabpanel"]:not([hidden])')[0].get_attribute("id") == "panel-predict"
    page.browser.back()
    page.wait(lambda: page.is_shown("panel-map"))
    page.find("theme").click()  # light
    page.find("theme").click()
    assert page.run("return getComputedStyle(document.body).backgroundColor") == "rgb(15, 21, 27)"
    page.browser.refresh()
    page.wait_for_start("map")
    assert page.run("return document.documentElement.dataset.theme") == "dark"
    page.find("theme").click()
    assert page.text("theme") == "Theme: as the system"


def test_a_pasted_list_is_predicted_sorted_and_saved(page: Workbench, bench: Running, downloads: Path) -> None:
    page.open("table")
    page.fill("list", "GaN\nUnobtainium\nBaZrS3\n\nNaCl\nPuN\n=1+1\n")
    page.find("table-run").click()
    page.wait(lambda: page.is_shown("table-results"))
    assert page.text("table-summary").startswith("4 predicted, 2 failed, in ")
    headings = page.headings("table-rows")
    assert headings[:4] == ["Row", "Material", "Band gap, eV", "Interval"]
    assert [row[1] for row in page.cells("table-rows")] == ["GaN", "BaZrS3", "NaCl", "PuN"]
    page.press_heading("table-rows", "Band gap, eV")
    page.press_heading("table-rows", "Band gap, eV")
    assert page.all("#table-rows th[aria-sort='descending']")[0].text.startswith("Band gap")
    gaps = [float(row[2].replace("\u2212", "-")) for row in page.cells("table-rows")]
    assert gaps == sorted(gaps, reverse=True)
    page.press_heading("table-rows", "Row")  # further tables are sorted like this one
    failed = page.cells("table-failed")
    assert [row[:2] for row in failed] == [["2", "Unobtainium"], ["6", "=1+1"]]
    assert "Unobtainium" in failed[0][2]
    asked = bench.post("/v1/predict", {"head": "gap", "formulas": ["GaN", "BaZrS3", "NaCl", "PuN"]}).document
    expected = asked["predictions"]
    (plutonium,) = [row for row in page.cells("table-rows") if row[1] == "PuN"]
    assert plutonium[headings.index("Low-confidence reasons")] == "; ".join(expected[3]["warnings"])
    assert plutonium[headings.index("Applicability domain")] == (
        f"{'near' if expected[3]['ood_score'] <= 1 else 'edge' if expected[3]['ood_score'] <= 2 else 'far'} "
        f"({expected[3]['ood_score']:.2f})"
    )
    assert plutonium[headings.index("Nearest training material")].startswith(expected[3]["nearest"][0]["formula"])
    page.find("table-csv").click()
    rows = list(csv.DictReader(io.StringIO(saved(downloads, "predictions-gap.csv", page))))
    assert [row["input"] for row in rows] == ["GaN", "Unobtainium", "BaZrS3", "NaCl", "PuN", "'=1+1"]
    assert [float(row["value"]) for row in rows if row["value"]] == pytest.approx([one["value"] for one in expected])
    assert [bool(row["failure"]) for row in rows] == [False, True, False, False, False, True]
    assert {row["unit"] for row in rows if row["value"]} == {"eV"}
    page.find("table-json").click()
    document = json.loads(saved(downloads, "predictions-gap.json", page))
    assert [one["row"] for one in document["failed"]] == [2, 6]
    assert document["predictions"][0]["nearest"] == expected[0]["nearest"]
    assert (document["unit"], document["level"]) == ("eV", asked["level"])


def test_a_dropped_table_goes_in_portions_and_loses_no_row(page: Workbench, bench: Running) -> None:
    formulas = [f"Ga{n}As" for n in range(1, 75)]
    lines = [f'm{n};"{formula}";{n},5' for n, formula in enumerate(formulas)]
    lines.insert(10, "broken;row")
    page.open("table")
    before = counted(bench)
    page.drop(("\ufeffid;pretty_formula;x\r\n" + "\r\n".join(lines), "table.csv"), on="table-drop")
    page.wait(lambda: page.is_shown("table-choice"))
    assert "75 rows" in page.text("table-given")
    assert page.all("#column-formula option:checked")[0].text == "pretty_formula"
    page.find("table-run").click()
    page.wait(lambda: page.is_shown("table-results"))
    assert page.text("table-summary").startswith("74 predicted, 1 failed")
    assert page.cells("table-failed") == [["11", "broken", "the row has 2 cells, the header 3"]]
    assert "1 to 50 of 74" in page.text("table-rows")
    next(one for one in page.all(".pager button") if one.text == "Next").click()
    assert [row[1] for row in page.cells("table-rows")][-1] == "m73"
    assert page.run("return document.getElementById('table-rows').contains(document.activeElement)")
    assert [now - then for now, then in zip(counted(bench), before, strict=True)] == [74, 11]
    page.select("column-formula", "2")
    page.find("table-run").click()
    page.wait(lambda: page.text("table-summary").startswith("0 predicted, 75 failed"))


def counted(server: Running) -> list[float]:
    """Return how many materials and requests for predictions a server has answered."""
    metrics = server.get("/metrics").body.decode()
    names = (
        'matlake_rows_total{outcome="answered",path="/v1/predict"}',
        'matlake_requests_total{path="/v1/predict",status="200"}',
    )
    return [sum(float(line.split()[-1]) for line in metrics.splitlines() if line.startswith(name)) for name in names]


def test_structures_go_together_as_far_as_the_atoms_allow(page: Workbench, elastic: pa.Table) -> None:
    page.select("head", "modulus")
    page.open("table")
    assert not page.is_shown("list")
    texts = elastic["poscar"].to_pylist()
    largest = sorted(texts, key=lambda text: len(text.splitlines()))[-6:]  # only the largest alone fills a request
    files = [(text, f"{number}.vasp") for number, text in enumerate(largest)]
    page.drop(*files, ("nonsense", "no.cif"), on="table-drop")
    page.wait(lambda: "7 structure files" in page.text("table-given"))
    page.find("table-run").click()
    page.wait(lambda: page.is_shown("table-results"))
    assert page.text("table-summary").startswith("6 predicted, 1 failed")
    assert [row[1] for row in page.cells("table-rows")] == [f"{number}.vasp" for number in range(6)]
    ((row, name, reason),) = page.cells("table-failed")
    assert (row, name) == ("7", "no.cif")
    assert "neither CIF nor POSCAR" in reason


def test_a_dataset_is_filtered_by_a_form_that_shows_its_sql(
    page: Workbench, bench: Running, served_lake: matlake.Lake, downloads: Path
) -> None:
    page.open("datasets")
    page.wait(lambda: page.all("#rows tbody tr"))
    page.select("dataset", "gaps")
    page.wait(lambda: "gaps: 307 rows" in page.text("rows"))
    page.find("add-condition").click()
    (field,) = page.all(".condition .given input")
    assert field.accessible_name == "Value in eV"
    field.send_keys("3")
    page.find("add-condition").click()
    second = page.all("fieldset.condition")[1]
    column, operator = second.find_elements(By.TAG_NAME, "select")
    column.send_keys("Elements")
    assert operator.text.split("\n")[0].strip() == "has all of"
    second.find_element(By.TAG_NAME, "input").send_keys("O")
    page.select("sort-by", "band_gap_eV")
    page.find("show-rows").click()
    where = "band_gap_eV >= 3 AND list_contains(elements, 'O')"
    wanted = served_lake.query(f"SELECT * FROM gaps WHERE {where} ORDER BY band_gap_eV, material_id").to_pylist()
    assert len(wanted) >= 2
    page.wait(lambda: f"gaps: {len(wanted)} rows" in page.text("rows"))
    headings = page.headings("rows")
    shown = [row[headings.index("Id")] for row in page.cells("rows")]
    assert shown == [row["material_id"] for row in wanted]
    sql = page.text("sql-shown")
    assert [row["material_id"] for row in served_lake.query(sql).to_pylist()] == shown
    page.find("save-rows").click()
    rows = list(csv.DictReader(io.StringIO(saved(downloads, "gaps.csv", page))))
    assert [float(row["band_gap_eV"]) for row in rows] == [row["band_gap_eV"] for row in wanted]

    page.all("#rows tbody button")[0].click()
    page.wait(lambda: "eV" in page.find("material-body").text and "gaps: " in page.text("material-body"))
    body = page.find("material-body").text
    assert wanted[0]["material_id"] in body
    predicted = bench.post("/v1/predict", {"head": "gap", "formulas": [wanted[0]["formula"]]}).document
    digits = 1 - math.floor(math.log10(predicted["mae"]))
    value = f"{predicted['predictions'][0]['value']:.{digits}f}"
    page.wait(lambda: value.replace("-", "\u2212") in page.text("material-body"))
    page.wait(lambda: page.all("#material-body ol button"))
    before = page.text("material-title")
    page.all("#material-body ol button")[0].click()
    page.wait(lambda: page.text("material-title") != before)
    page.press(Keys.ESCAPE)
    page.wait(lambda: not page.is_shown("material-dialog"))

    page.fill("sql", "SELECT count(*) AS n FROM gaps")
    page.find("run-sql").click()
    page.wait(lambda: page.cells("sql-rows") == [["307"]])
    page.fill("sql", "DROP TABLE gaps")
    page.find("run-sql").click()
    assert "read-only" in page.problem()


def test_similar_materials_are_found_by_formula_structure_and_id(
    page: Workbench, bench: Running, elastic: pa.Table
) -> None:
    page.open("similar")
    page.find("similar-formula").send_keys("GaN" + Keys.ENTER)
    page.wait(lambda: len(page.cells("similar-results")) == 10)
    question = {"encoder": page.find("similar-layer").get_attribute("value"), "formulas": ["GaN"]}
    (expected,) = bench.post("/v1/search", question).document["results"]
    assert [row[3] for row in page.cells("similar-results")] == [one["material_id"] for one in expected["neighbours"]]
    crystals = next(one for one in page.all("#similar-layer option") if one.text.startswith("cgcnn"))
    page.select("similar-layer", str(crystals.get_attribute("value")))
    assert not page.is_shown("similar-formula")
    page.drop((elastic["poscar"][5].as_py(), "a.vasp"), on="similar-drop")
    name = elastic["material_id"][5].as_py()
    page.wait(lambda: page.cells("similar-results")[0][3] == name)
    nearest = page.cells("similar-results")[1][3]
    page.select("similar-kind", "id")
    page.find("similar-id").send_keys(name + "\n")
    page.wait(lambda: page.cells("similar-results")[0][3] == nearest)
    page.find("similar-id").send_keys("none\n")
    assert "is not a material" in page.problem()
    page.all("#similar-results tbody button")[0].click()
    page.drawn("#material-body")
    page.find("material-close").click()


def test_the_report_of_a_head_is_shown_with_its_plots(page: Workbench) -> None:
    page.open("report")
    page.wait(lambda: page.all("#report section"))
    headings = [section.get_attribute("aria-label") for section in page.all("#report section")]
    assert {"Result", "Baselines", "Features", "To repeat"} <= set(headings)
    report = page.text("report")
    assert "mean of the training rows" in report
    assert "Shares of values in their interval: test rows " in report
    image = 'return document.querySelector("#report img")'
    page.run(f"{image}.scrollIntoView()")
    page.wait(lambda: page.run(f"{image}.naturalWidth") == 90)
    assert page.run(f"{image}.alt").startswith("Predicted against true")
    assert page.run("return window.harmed") is None


def test_a_key_is_asked_for_a_bare_lake_has_fewer_tabs_and_hostile_names_stay_text(
    browser: Chrome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matlake.serving.served_lake.CHECK_S", 0.0)
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    shutil.copytree(HEAD_V1, tmp_path / "lake" / "heads" / HEAD_V1.name)
    with serving(lake, HEAD_V1.name, api_key=KEY) as (server, _):
        page = Workbench(browser, server, "map")
        assert "An API key is needed" in page.problem()
        page.find("key").send_keys(KEY + "\n")
        page.wait(lambda: "An older version trained this head" in page.text("map-words"))
        assert not page.is_shown("problem")
        tabs = [tab.text for tab in page.all('[role="tab"]') if tab.is_displayed()]
        assert tabs == ["Predict", "Table", "Map", "Report"]
        table = {"id": [HOSTILE], "formula": ["GaN"], f"phase {HOSTILE}": [HOSTILE]}
        pq.write_table(pa.table(table), tmp_path / "hostile.parquet")
        matlake.import_table(lake, tmp_path / "hostile.parquet", "hostile")
        page.load("datasets")  # with the key: a tab of the browser keeps it
        page.wait(lambda: HOSTILE in page.text("rows"))
        page.all("#rows tbody button")[0].click()
        page.wait(lambda: page.text("material-body").count(HOSTILE) >= 3)
        page.find("material-close").click()
        page.fill("sql", f"SELECT '{HOSTILE.replace(chr(39), chr(39) * 2)}' AS \"{HOSTILE}\"")
        page.find("run-sql").click()
        page.wait(lambda: page.text("sql-rows").count(HOSTILE) == 2)
        page.open("table")
        page.fill("list", f"{HOSTILE}\nGaN")
        page.find("table-run").click()
        page.wait(lambda: HOSTILE in page.text("table-failed"))
        assert page.run("return document.querySelectorAll('img[src=x]').length") == 0
        assert page.run("return window.harmed") is None
        page.run("sessionStorage.clear()")
    page.open("predict")
    page.type("GaN")
    assert "The server does not answer" in page.problem()
    assert page.is_shown("again")


def test_the_page_is_for_everybody(page: Workbench) -> None:
    """WCAG 2.2, levels A and AA, as far as axe-core sees it; in light, dark, and on a telephone of 360 pixels."""
    found: list[str] = []
    for tab in TABS:
        visit(page, tab)
        found += [f"{tab}, light: {one}" for one in page.barriers()]
    with page.emulating(width=360, dark=True):
        for tab in TABS:
            page.open(tab)
            found += [f"{tab}, dark: {one}" for one in page.barriers(OF_LOOKS)]
    assert not found, "\n".join(found)


def visit(page: Workbench, tab: str) -> None:
    """Open a tab, and let it show all that it may show."""
    page.open(tab)
    if tab == "predict":
        page.type("PuN")
        page.answer()
    if tab == "table":
        page.fill("list", "GaN\nUnobtainium")
        page.find("table-run").click()
        page.wait(lambda: page.is_shown("table-results"))
    if tab == "datasets":
        page.wait(lambda: page.all("#rows tbody tr"))
        page.find("add-condition").click()
    if tab == "similar":
        page.find("similar-formula").send_keys("GaN\n")
        page.wait(lambda: page.all("#similar-results tbody tr"))
    if tab == "report":
        page.wait(lambda: page.all("#report section"))
