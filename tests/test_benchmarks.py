"""Benchmarks that cannot rot: every script imports, every picture is shown, every link of a page leads somewhere."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BENCHMARKS = ROOT / "benchmarks"
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *BENCHMARKS.rglob("*.md")])
PICTURES = sorted(
    path
    for folder in ("docs", "benchmarks")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".png", ".svg") and path.name != "favicon.svg"
)
SCRIPTS = sorted(path for path in BENCHMARKS.glob("s*/*.py") if path.stem != "__init__")
LINK = re.compile(r"\]\(([^)\s]+)\)|<(?:img|source)[^>]+src(?:set)?=\"([^\"]+)\"")


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def linked(page: Path) -> set[Path]:
    targets = {left or right for left, right in LINK.findall(page.read_text())}
    return {
        (page.parent / target.partition("#")[0]).resolve()
        for target in targets
        if target.partition("#")[0] and not target.startswith(("http:", "https:", "mailto:"))
    }


def test_every_benchmark_imports() -> None:
    names = [name_of(path) for path in sorted(BENCHMARKS.rglob("*.py")) if path.stem != "__init__"]
    code = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
    done = subprocess.run([sys.executable, "-c", code, *names], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_benchmark_is_named_by_a_page() -> None:
    pages = "".join(page.read_text() for page in BENCHMARKS.rglob("*.md"))
    missing = [name_of(path) for path in SCRIPTS if f"python -m {name_of(path)}" not in pages]
    assert not missing


def test_every_command_of_a_page_is_a_benchmark() -> None:
    for page in PAGES:
        for name in re.findall(r"python\s+-m\s+(benchmarks\.[\w.]+)", page.read_text()):
            assert (ROOT / (name.replace(".", "/") + ".py")).exists(), f"{page.name} names {name}"


def test_every_benchmark_has_its_figures_beside_it_and_no_others() -> None:
    for folder in ("speed", "studies"):
        scripts = {path.stem for path in SCRIPTS if path.parent.name == folder}
        figures = {path.stem for path in (BENCHMARKS / folder / "results").glob("*.json")}
        assert scripts == figures


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    assert not [str(path) for path in linked(page) if not path.exists()]


def test_every_picture_is_shown_by_a_page_in_one_format() -> None:
    shown = set().union(*map(linked, PAGES))
    assert not [str(path.relative_to(ROOT)) for path in PICTURES if path.resolve() not in shown]
    stems = [path.with_suffix("") for path in PICTURES]
    assert len(stems) == len(set(stems))


def test_a_benchmark_reports_beside_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = importlib.import_module("benchmarks.helpers.common")
    common.report(tmp_path / "speed.py", {"seconds": 1.23456789, "runs": [1, None]}, ["what", "s"], [["all", "1.23"]])
    written = json.loads((tmp_path / "results" / "speed.json").read_text())
    assert written["seconds"] == 1.23457
    assert written["runs"] == [1, None]
    assert "cores" in written["machine"]
    assert capsys.readouterr().out == "| what | s |\n| --- | --- |\n| all | 1.23 |\n"


def test_an_svg_has_the_same_bytes_for_the_same_numbers(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    common = importlib.import_module("benchmarks.helpers.common")
    for name in ("a.svg", "b.svg"):
        figure = Figure()
        figure.add_subplot().plot([0, 1], [1, 0])
        assert common.save_picture(figure, tmp_path / name) == name
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_a_small_png_shows_the_same(tmp_path: Path) -> None:
    import numpy as np
    from matplotlib.figure import Figure
    from PIL import Image

    common = importlib.import_module("benchmarks.helpers.common")
    figure = Figure()
    figure.add_subplot().plot([0, 1], [1, 0])
    figure.savefig(tmp_path / "large.png")
    content = (tmp_path / "large.png").read_bytes()
    (tmp_path / "small.png").write_bytes(common.small_png(content))
    large, small = (np.asarray(Image.open(tmp_path / f"{name}.png").convert("RGB"), int) for name in ("large", "small"))
    assert (tmp_path / "small.png").stat().st_size < len(content)
    assert np.abs(large - small).max() < 16
