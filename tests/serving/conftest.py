"""Fixtures: a lake with a head on compositions and one on crystals, and a server of both."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from browser import Workbench, complaints, headless_browser
from running_server import Running, serving
from samples import CRYSTAL_ENCODER, ELASTIC, ENCODER
from selenium.webdriver import Chrome

import matlake
from matlake.materials.structure_files.sniff import parse_structure
from matlake.regress.heads.request import TrainRequest
from matlake.regress.heads.train import train

GAP_FEATURE = f"{ENCODER}@13"
HOSTILE_PLOT = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="90" height="60"><script>window.harmed = 1</script>'
    '<rect width="90" height="60" fill="gold"/></svg>'
)


@pytest.fixture(scope="session")
def elastic() -> pa.Table:
    return pq.read_table(ELASTIC).slice(0, 120)


@pytest.fixture(scope="session")
def served_lake(tmp_path_factory: pytest.TempPathFactory, gaps: Path, elastic: pa.Table) -> matlake.Lake:
    """307 band gaps and 120 crystals; heads ``gap``, with a plot that a stranger might have made, and ``modulus``."""
    folder = tmp_path_factory.mktemp("served")
    pq.write_table(elastic, folder / "elastic.parquet")
    lake = matlake.open_lake(folder / "lake", create=True)
    matlake.import_table(lake, gaps, "gaps")
    matlake.import_table(lake, folder / "elastic.parquet", "elastic")
    matlake.embed(lake, [GAP_FEATURE], dataset="gaps")
    matlake.embed(lake, [CRYSTAL_ENCODER], dataset="elastic")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("matlake.regress.heads.train.draw_plots", lambda *_: {})  # most of the time, and nobody looks
        train(lake, TrainRequest("band_gap_eV", [GAP_FEATURE], "ridge", dataset="gaps", name="gap"))
        train(lake, TrainRequest("bulk_modulus_VRH_GPa", [CRYSTAL_ENCODER], "ridge", dataset="elastic", name="modulus"))
    plots = folder / "lake" / "heads" / "gap" / "plots"
    plots.mkdir()
    (plots / "parity.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (plots / "parity.svg").write_text(HOSTILE_PLOT)
    return lake


@pytest.fixture(scope="session")
def server(served_lake: matlake.Lake) -> Iterator[Running]:
    with serving(served_lake, "gap", "modulus") as (running, _):
        yield running


@pytest.fixture(scope="session")
def downloads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="session")
def browser(downloads: Path) -> Iterator[Chrome]:
    """One browser for all tests of the page."""
    with headless_browser(1280, 1400, downloads=downloads) as running:
        yield running


@pytest.fixture(scope="session")
def bench(served_lake: matlake.Lake, series: matlake.Lake, elastic: pa.Table) -> Iterator[Running]:
    """One server for all tests of the page: with a head that takes a column, too, and narrow limits."""
    shutil.copytree(Path(str(series.heads_folder)) / "gap_of_T", Path(str(served_lake.heads_folder)) / "gap_of_T")
    atoms = max(len(parse_structure(text).numbers) for text in elastic["poscar"].to_pylist())
    with serving(served_lake, "gap", "modulus", "gap_of_T", rows=7, atoms=atoms) as (running, _):
        yield running


@pytest.fixture(scope="session")
def shown(browser: Chrome, bench: Running) -> Workbench:
    """Its page, loaded once: that costs a second."""
    return Workbench(browser, bench)


@pytest.fixture
def page(shown: Workbench) -> Workbench:
    """Its page as it starts."""
    shown.begin("gap")
    return shown


@pytest.fixture
def quiet(browser: Chrome) -> Iterator[None]:
    """Nothing in the console of the browser, but what plotly and answers with an error write there."""
    complaints(browser)
    yield
    # plotly would like to add the style of its geographic maps, which the content security policy does not let it
    found = [text for text in complaints(browser) if not ("plotly.min.js" in text and "inline style" in text)]
    assert [text for text in found if "Failed to load resource" not in text] == []
