"""The template of a package of plug-ins: it installs, passes its own tests, and its head works without it."""

import importlib.util
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from plugin_packages import on_the_path
from running_server import serving

import matlake
from matlake.diagnosis.checks import State
from matlake.diagnosis.plugins import check_plugins
from matlake.errors import TrainingError
from matlake.regress.heads.request import TrainRequest
from matlake.regress.heads.train import train
from matlake.regress.regressors import named_model

TEMPLATE = Path(__file__).parents[1] / "examples" / "plugin"
OWN_TESTS = TEMPLATE / "tests" / "test_plugins.py"
FORMULAS = ["GaN", "TiO2", "PbTe"]


def own_tests() -> ModuleType:
    spec = importlib.util.spec_from_file_location("template_tests", OWN_TESTS)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as pip installs it, in a folder of its own."""
    pytest.importorskip("hatchling", reason="needs the extra 'dev'")
    folder = tmp_path_factory.mktemp("site")
    offline = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    command = [sys.executable, "-m", "pip", "install", *offline, "--target", str(folder), str(TEMPLATE)]
    subprocess.run(command, check=True, capture_output=True)
    return folder


@pytest.fixture
def installed(site: Path) -> Iterator[None]:
    with on_the_path(site):
        yield


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", re.findall(r"^def (test_\w+)", OWN_TESTS.read_text(), re.MULTILINE))
def test_it_passes_its_own_tests(name: str) -> None:
    getattr(own_tests(), name)()


@pytest.mark.usefixtures("installed")
def test_doctor_lists_what_it_adds() -> None:
    found = {check.name.removeprefix("plug-in "): check for check in check_plugins()}
    assert {"res", "airss", "mean-mass", "reduced-pairs", "huber", "element-count"} == set(found)
    assert all(check.state is State.OK for check in found.values())
    assert found["res"].found == "reader of matlake-example 0.1.0 (matlake.readers)"


@pytest.mark.usefixtures("installed")
def test_a_folder_of_its_files_is_imported_with_their_properties(tmp_path: Path) -> None:
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    report = matlake.import_table(lake, TEMPLATE / "tests" / "data", "search")
    assert (report.rows, report.failed) == (2, 2)
    rows = lake.query("SELECT material_id, formula, enthalpy_eV FROM search ORDER BY material_id").to_pylist()
    assert rows == [
        {"material_id": "C-diamond", "formula": "C", "enthalpy_eV": -310.45},
        {"material_id": "TiO2-rutile", "formula": "TiO2", "enthalpy_eV": -4951.72},
    ]
    reasons = lake.query("SELECT material_id, reason FROM failures ORDER BY material_id").to_pylist()
    assert [row["material_id"] for row in reasons] == ["C-partly", "broken"]
    assert reasons[1]["reason"] == "there is no line TITL: not a .res file"


@pytest.mark.usefixtures("installed")
def test_a_source_brings_what_is_new_since_the_last_import(tmp_path: Path) -> None:
    folder = shutil.copytree(TEMPLATE / "tests" / "data", tmp_path / "search")
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    first = lake.add(f"airss:{folder}", dataset="search")
    assert (first.rows, first.failed) == (2, 2)
    licences = lake.query("SELECT DISTINCT source, source_licence FROM search").to_pylist()
    assert licences == [{"source": f"airss:{folder}", "source_licence": "CC-BY-4.0"}]
    assert lake.add(f"airss:{folder}", dataset="search").update.new == 0
    text = (folder / "TiO2-rutile.res").read_text()
    (folder / "TiO2-new.res").write_text(text.replace("TiO2-rutile", "TiO2-new"))
    assert lake.add(f"airss:{folder}", dataset="search").update.new == 1
    assert lake.query("SELECT count(*) AS n FROM search").to_pylist() == [{"n": 3}]


def test_a_head_of_its_regressor_predicts_and_is_served_without_the_package(site: Path, lake: matlake.Lake) -> None:
    with on_the_path(site):
        request = TrainRequest("band_gap_eV", ["mean-mass"], "huber", split="element-count:3", name="robust")
        card = train(lake, request).card
        assert (card.model.kind, card.training.split) == ("huber", "element-count:3")
        assert "are of 3 elements" in card.training.split_description
        before = [one.value for one in matlake.predict(lake, "robust", FORMULAS).predictions]
    with pytest.raises(TrainingError, match="unknown model 'huber'"):
        named_model("huber")
    after = matlake.predict(lake, "robust", FORMULAS)
    assert [one.value for one in after.predictions] == before
    with serving(lake, "robust") as (server, _):
        answer = server.post("/v1/predict", {"head": "robust", "formulas": FORMULAS}).document
        assert [one["value"] for one in answer["predictions"]] == pytest.approx(before)
