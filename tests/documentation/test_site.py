"""The site builds strictly and works offline: no link leads nowhere, and nothing is fetched from elsewhere."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from pages import ROOT

import matlake
from matlake.cli.main import COMMANDS

pytest.importorskip("mkdocs", reason="needs the extra 'docs'")

ELSEWHERE: Final = re.compile(r"<(?:script|img|iframe|source|link)\b[^>]*?\b(?:src|srcset|href)=\"?(https?:)?//")
SECTIONS: Final = ["Start", "Guides", "Reference", "Science", "Inside"]

KINDS: Final = ("index", "guides/search", "reference/commands", "reference/sql")
"""A page of each kind: the first one, a guide, one made of the commands, one of tables."""

PARTED: Final = """
const options = [...document.querySelectorAll(".option")];
return [options.length, options.filter((one) => one.getClientRects().length > 1).map((one) => one.textContent)];
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


def text_of(page: Path) -> str:
    return page.read_text()


def test_five_sections_are_at_the_top(site: Path) -> None:
    (tabs,) = re.findall(r'<ul class="md-tabs__list">.*?</ul>', text_of(site / "index.html"), re.DOTALL)
    assert re.findall(r"[A-Z][a-z]+", re.sub(r"<[^>]*>", " ", tabs)) == SECTIONS


def test_every_page_of_the_repository_is_in_the_site(site: Path) -> None:
    pages = [path.relative_to(ROOT / "docs") for path in (ROOT / "docs").rglob("*.md")]
    assert not [str(page) for page in pages if not (site / page.with_suffix(".html")).exists()]
    assert (site / "science" / "measurements" / "speed" / "index.html").exists()
    assert (site / "inside" / "changes.html").exists()


def test_every_page_lies_in_a_section() -> None:
    flat = [path.name for path in (ROOT / "docs").glob("*.md") if path.name != "index.md"]
    assert not flat, f"move {flat} into a section, and name them in mkdocs.yml"


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert not [match[0] for match in ELSEWHERE.finditer(text_of(page)) if 'rel="canonical"' not in match[0]], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(?:url\(|@import )[\"']?https?:", text_of(sheet)), sheet


def test_the_search_works_without_a_server(site: Path) -> None:
    assert "elasticity" in text_of(site / "search" / "search_index.js")


def test_the_command_line_is_that_of_help(site: Path) -> None:
    page = re.sub(r"<[^>]*>", "", text_of(site / "reference" / "commands.html"))
    assert not [name for name in COMMANDS if f"matlake {name}" not in page]
    assert "Embed databases" in page or "Embed materials databases" in page
    assert "--max-fits" in page
    assert not re.search(r"Sentinel|function &lt;|object at 0x", page), "a default that is no text"


def test_the_python_reference_has_every_public_name(site: Path) -> None:
    pages = text_of(site / "reference" / "lake.html") + text_of(site / "reference" / "functions.html")
    defined = set(re.findall(r'id="matlake(?:\.\w+)*\.(\w+)"', pages))
    assert set(matlake.__all__) - {"sklearn"} <= defined
    assert {"Embedder", "HeadRegressor", "Split"} <= defined
    assert {"embed", "sql", "search", "train"} <= defined  # methods of Lake as well


def test_everybody_can_read_pages_light_and_dark_and_on_a_phone_and_no_line_parts_an_option(site: Path) -> None:
    pytest.importorskip("selenium", reason="needs the extra 'dev'")
    from browser import OF_LOOKS, Page, headless_browser

    found: list[str] = []
    options = 0
    with headless_browser(1280, 900) as browser:
        page = Page(browser)
        for name in KINDS:
            browser.get((site / f"{name}.html").as_uri())
            found += [f"{name}, light: {one}" for one in page.barriers()]
            with page.emulating(dark=True):
                found += [f"{name}, dark: {one}" for one in page.barriers(OF_LOOKS)]
            for width in (360, 1280):
                with page.emulating(width=width):
                    number, parted = page.run(PARTED)
                    options += number
                    found += [f"{name}, {width} pixels wide: {one} on two lines" for one in parted]
                    if page.run("return document.documentElement.scrollWidth > innerWidth"):
                        found.append(f"{name}, {width} pixels wide: the page is wider than the window")
    assert options
    assert not found


def test_a_link_that_leads_nowhere_stops_the_build(tmp_path: Path) -> None:
    """Build the smallest site with the rules of ours, one link of which is wrong."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# One\n\n[two](#two)\n")
    rules = re.search(r"^validation:\n(?:  .*\n)+", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    assert rules is not None
    (tmp_path / "mkdocs.yml").write_text(f"site_name: x\n{rules[0]}")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "#two" in done.stderr
