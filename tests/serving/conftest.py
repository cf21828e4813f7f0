"""Fixtures: a lake with a head on compositions and one on crystals, and a server of both."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from browser import complaints, headless_browser
from running_server import Running, serving
from samples import CRYSTAL_ENCODER, ELASTIC, ENCODER
from selenium.webdriver import Chrome

import matlake
from matlake.regress.heads.request import TrainRequest
from matlake.regress.heads.train import train

GAP_FEATURE = f"{ENCODER}@13"


@pytest.fixture(scope="session")
def elastic() -> pa.Table:
    return pq.read_table(ELASTIC).slice(0, 120)


@pytest.fixture(scope="session")
def served_lake(tmp_path_factory: pytest.TempPathFactory, gaps: Path, elastic: pa.Table) -> matlake.Lake:
    """307 band gaps and 120 crystals; heads ``gap`` and ``modulus``."""
    folder = tmp_path_factory.mktemp("served")
    pq.write_table(elastic, folder / "elastic.parquet")
    lake = matlake.open_lake(folder / "lake", create=True)
    matlake.import_table(lake, gaps, "gaps")
    matlake.import_table(lake, folder / "elastic.parquet", "elastic")
    matlake.embed(lake, [GAP_FEATURE], dataset="gaps")
    matlake.embed(lake, [CRYSTAL_ENCODER], dataset="elastic")
    train(lake, TrainRequest("band_gap_eV", [GAP_FEATURE], "ridge", dataset="gaps", name="gap"))
    train(lake, TrainRequest("bulk_modulus_VRH_GPa", [CRYSTAL_ENCODER], "ridge", dataset="elastic", name="modulus"))
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


@pytest.fixture
def quiet(browser: Chrome) -> Iterator[None]:
    """Nothing in the console of the browser, but what plotly and answers with an error write there."""
    complaints(browser)
    yield
    # plotly would like to add the style of its geographic maps, which the content security policy does not let it
    found = [text for text in complaints(browser) if not ("plotly.min.js" in text and "inline style" in text)]
    assert [text for text in found if "Failed to load resource" not in text] == []
