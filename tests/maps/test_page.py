"""The page of a map in a real browser, from a file, without a network: search, selection, crystals, day and night."""

import base64
import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import Page, complaints, headless_browser
from selenium.webdriver import ActionChains, Chrome
from selenium.webdriver.common.actions.wheel_input import ScrollOrigin
from selenium.webdriver.common.by import By

import matlake
from matlake.maps.html_file import page_file

MARK = "window.reached = []; addEventListener('securitypolicyviolation', (event) => reached.push(event.blockedURI));"
CATCH_DOWNLOAD = """
const make = URL.createObjectURL;
URL.createObjectURL = (blob) => { window.caught = blob; return make(blob); };
HTMLAnchorElement.prototype.click = () => {};
document.getElementById('download').click();
"""


class MapPage(Page):
    """What a person sees and does."""

    def __init__(self, browser: Chrome, path: Path) -> None:
        super().__init__(browser)
        browser.get(path.as_uri())
        self.wait(lambda: self.run("return document.documentElement.dataset.ready === 'yes'"))

    def text(self, name: str) -> str:
        return self.find(name).text

    def search(self, query: str) -> str:
        field = self.find("query")
        field.clear()
        before = self.text("selected-title")
        field.send_keys(query + "\n")
        self.wait(lambda: self.text("selected-title") != before)
        return self.text("selected-title")

    def listed(self) -> list[str]:
        """Return the ids of the selected materials that are listed."""
        ids: list[str] = self.run(
            "return [...document.querySelectorAll('#list button span:nth-child(2)')].map((span) => span.textContent)"
        )
        return ids

    def drag(self, tool: str, *steps: tuple[float, float]) -> None:
        """Draw around points with a tool, from the middle of the map; steps are shares of its width and height."""
        self.browser.find_element(By.CSS_SELECTOR, f"[data-drag={tool}]").click()
        plot = self.find("map")
        width, height = plot.size["width"], plot.size["height"]
        (x, y), *rest = steps
        hand = ActionChains(self.browser, duration=30)
        hand.move_to_element_with_offset(plot, int(x * width), int(y * height)).click_and_hold()
        for dx, dy in rest:
            hand.move_by_offset(int(dx * width), int(dy * height))
        hand.release().perform()

    def pixel(self, row: int) -> tuple[int, int]:
        """Return where a point is on the screen, from the middle of the map."""
        x, y = self.run(
            """
            const plot = document.getElementById('map'), {xaxis, yaxis} = plot._fullLayout;
            const all = plot.data.flatMap((trace) => [...trace.x].map((x, place) => [x, trace.y[place]]));
            const [x, y] = all[arguments[0]], box = plot.getBoundingClientRect();
            return [xaxis.l2p(x) + xaxis._offset - box.width / 2, yaxis.l2p(y) + yaxis._offset - box.height / 2];
            """,
            row,
        )
        return round(x), round(y)


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    """A browser that reaches no host by any name."""
    with headless_browser(1280, 900, "--host-resolver-rules=MAP * ~NOTFOUND") as started:
        started.execute_cdp_cmd("Network.enable", {})
        started.execute_cdp_cmd(
            "Network.emulateNetworkConditions",
            {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0},
        )
        started.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": MARK})
        yield started


@pytest.fixture(scope="module")
def shown(browser: Chrome, page: Path) -> MapPage:
    """The map of ``elastic``; drawing it takes a second, so tests go on where the one before has stopped."""
    return MapPage(browser, page)


@pytest.fixture(scope="module")
def ids(mapped: matlake.Lake) -> list[str]:
    """The ids of the points, in their order."""
    found: list[str] = mapped.sql("SELECT material_id FROM elastic ORDER BY material_id").arrow()[0].to_pylist()
    return found


def test_a_formula_or_a_part_of_an_id_is_found(shown: MapPage, ids: list[str], mapped: matlake.Lake) -> None:
    assert shown.text("scale-title") == "bulk modulus VRH (GPa)"
    assert "60 materials of elastic" in shown.text("summary")
    formulas = mapped.sql("SELECT formula FROM elastic ORDER BY material_id").arrow()[0].to_pylist()
    formula = formulas[20]
    same = [name for name, other in zip(ids, formulas, strict=True) if other == formula]
    assert shown.search(formula) == f"{len(same)} found for {formula}"
    assert shown.listed() == same
    assert shown.text("formula").replace("\n", "") == formula
    assert shown.search("onerror") == "1 found for onerror"
    assert shown.listed() == ["<img src=x onerror=alert(1)>"]
    assert shown.run("return document.images.length") == 0
    assert shown.search("Xx9") == "Nothing on this map is Xx9"


def test_box_and_lasso_give_ids_and_a_table(shown: MapPage, ids: list[str]) -> None:
    shown.drag("select", (-0.4, -0.4), (0.8, 0.8))
    shown.wait(lambda: shown.text("selected-title").endswith(" selected"))
    boxed = shown.listed()
    assert len(boxed) > 20
    assert set(boxed) <= set(ids)
    shown.drag("lasso", (-0.2, -0.2), (0.4, 0), (0, 0.4), (-0.4, 0), (0, -0.35))
    shown.wait(lambda: shown.listed() != boxed)
    assert shown.text("selected-title") == f"{len(shown.listed())} selected"
    assert set(shown.listed()) <= set(boxed)
    shown.run(CATCH_DOWNLOAD)
    csv = shown.browser.execute_async_script("caught.text().then(arguments[0])")  # type: ignore[no-untyped-call]
    assert csv.splitlines()[0] == "dataset,material_id,formula,bulk_modulus_VRH_GPa,x,y"
    assert [line.split(",")[1] for line in csv.splitlines()[1:]] == shown.listed()
    shown.find("clear").click()
    shown.wait(lambda: shown.text("selected-title") == "Nothing selected")


def test_hover_and_click_show_the_material(shown: MapPage) -> None:
    shown.browser.find_element(By.CSS_SELECTOR, "[data-drag=pan]").click()
    hand = ActionChains(shown.browser, duration=30)
    hand.move_to_element_with_offset(shown.find("map"), *shown.pixel(12)).perform()
    shown.wait(lambda: shown.find("tip").is_displayed())
    assert "bulk modulus VRH: " in shown.text("tip")
    hand.click().perform()
    shown.wait(lambda: shown.text("facts").splitlines()[1] in shown.text("tip"))


def test_the_crystal_is_drawn_or_said_to_be_missing(shown: MapPage, page: Path, ids: list[str]) -> None:
    numbers = crystal_numbers(page)
    shown.search(ids[numbers.index(40)])
    shown.wait(lambda: "in a cell of" in shown.text("crystal-words"))
    shown.wait(lambda: shown.find("crystal").find_elements(By.TAG_NAME, "canvas"))
    shown.search(ids[numbers.index(-2)])
    shown.wait(lambda: "50 of 60 materials" in shown.text("crystal-words"))


def test_the_page_follows_the_night_and_fits_a_telephone(shown: MapPage) -> None:
    with shown.emulating(width=390, dark=True):
        shown.wait(lambda: shown.run("return document.getElementById('map').layout.font.color") == "#e8edf2")
        assert shown.run("return getComputedStyle(document.body).backgroundColor") == "rgb(15, 21, 27)"
        shown.wait(lambda: shown.run("return document.documentElement.scrollWidth") == 390)


def test_nothing_was_asked_for_and_nothing_went_wrong(shown: MapPage) -> None:
    assert shown.run("return window.reached") == []
    assert shown.run("return performance.getEntriesByType('resource').length") == 0
    assert complaints(shown.browser) == []


def crystal_numbers(page: Path) -> list[int]:
    """Return which crystal of the file each point has: -1 for none, -2 for one that is not in it."""
    (packed,) = re.findall(r'id="data-crystal">([^<]*)<', page.read_text())
    numbers: list[int] = np.frombuffer(gzip.decompress(base64.b64decode(packed)), "<i4").tolist()
    return numbers


def test_categories_can_be_hidden(browser: Chrome, mapped: matlake.Lake, tmp_path: Path) -> None:
    path = tmp_path / "map.html"
    mapped.map(["elastic", "gaps"], "magpie", "kind", output=path, structures=0, progress=False)
    shown = MapPage(browser, path)
    buttons = shown.find("legend").find_elements(By.TAG_NAME, "button")
    names = [button.text for button in buttons]
    assert names[7:] == ["1 other value", "no value (46)", "elastic", "gaps"]
    visible = "return document.getElementById('map').data.map((trace) => trace.visible ?? true)"
    assert all(shown.run(visible))
    buttons[-1].click()
    shown.wait(lambda: not all(shown.run(visible)))
    assert buttons[-1].get_attribute("aria-pressed") == "false"
    assert shown.run(visible).count(False) == 1
    assert complaints(browser) == []


MANY = 20_000
SLOWLY = """
const read = WebGLRenderingContext.prototype.readPixels;
WebGLRenderingContext.prototype.readPixels = function (...wanted) {
  const end = performance.now() + 200;
  while (performance.now() < end);
  return read.apply(this, wanted);
};
"""
"""Lets the page find that it takes this machine 200 ms to draw all points."""


@pytest.fixture(scope="module")
def crowded(browser: Chrome, tmp_path_factory: pytest.TempPathFactory) -> MapPage:
    """A map of many points, drawn slowly."""
    browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": SLOWLY})
    random = np.random.default_rng(0)
    arrays = {
        "xy": random.normal(size=(MANY, 2)).astype("<f4"),
        "home": np.zeros(MANY, np.uint8),
        "crystal": np.full(MANY, -1, "<i4"),
    }
    facts = {
        "summary": "",
        "notes": [],
        "axes": ["x", "y"],
        "projection": "pca",
        "colour": None,
        "datasets": ["many"],
        "crystals": {"stored": 0, "available": 0},
    }
    path = tmp_path_factory.mktemp("crowded") / "map.html"
    path.write_bytes(
        page_file("many", facts, arrays, {"formulas": ["TiO2"] * MANY, "ids": list(map(str, range(MANY)))}, [])
    )
    return MapPage(browser, path)


SPY = """
const scene = document.getElementById('map')._fullLayout._plots.xy._scene, draw = scene.draw;
const lengths = (batch) => batch.reduce((sum, rows) => sum + (rows?.length ?? 0), 0);
const counts = () => scene.scatter2d.groups.reduce((sum, group) => sum + group.count, 0);
[window.drawn, window.chosen] = [[], []];
scene.draw = () => {
  chosen.push(lengths(scene.selectBatch));
  drawn.push(chosen.at(-1) + lengths(scene.unselectBatch) || counts());
  draw();
};
"""
"""Notes how many points are drawn each time, selected ones and others or all alike; and how many selected ones."""


def drawn(shown: MapPage) -> list[int]:
    counts: list[int] = shown.run("return drawn")
    return counts


def picture(shown: MapPage) -> list[str]:
    found: list[str] = shown.run(
        "return [...document.querySelectorAll('#map .gl-canvas')].map((one) => one.toDataURL())"
    )
    return found


@pytest.mark.parametrize(("query", "found"), [("", 0), ("1999", 12)])
def test_fewer_of_many_points_are_drawn_while_the_map_moves_and_all_when_it_rests(
    crowded: MapPage, query: str, found: int
) -> None:
    crowded.find("query").clear()
    crowded.find("query").send_keys(f"{query}\n")
    crowded.wait(lambda: crowded.text("selected-title").startswith("Nothing") == (not query))
    plot = crowded.find("map")
    before = picture(crowded)
    crowded.run(SPY)
    ActionChains(crowded.browser, duration=30).move_to_element(plot).click_and_hold().move_by_offset(60, 30).perform()
    assert 5000 <= max(drawn(crowded)) < MANY
    assert picture(crowded) != before
    ActionChains(crowded.browser).release().perform()
    crowded.wait(lambda: drawn(crowded)[-1] == MANY)
    assert_all_are_there(crowded)
    crowded.run(SPY)
    ActionChains(crowded.browser).scroll_from_origin(ScrollOrigin.from_element(plot), 0, -200).perform()
    crowded.wait(lambda: drawn(crowded)[-1:] == [MANY])
    assert 5000 <= min(drawn(crowded)) < MANY
    assert set(crowded.run("return chosen")) == {found}, "a few selected points do not vanish"
    assert_all_are_there(crowded)
    assert complaints(crowded.browser) == []


def assert_all_are_there(shown: MapPage) -> None:
    """What is seen is what plotly draws anew."""
    seen = picture(shown)
    shown.browser.execute_async_script(  # type: ignore[no-untyped-call]
        "Plotly.redraw('map').then(() => requestAnimationFrame(() => arguments[0]()))"
    )
    assert picture(shown) == seen
