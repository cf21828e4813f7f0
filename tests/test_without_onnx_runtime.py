"""Without an ONNX Runtime, all works that needs no network; what needs one says in a line what to install."""

import sys
from collections.abc import Callable
from types import ModuleType

import pytest
from samples import ENCODER, LAKE_0_1_0

import matlake
from matlake.diagnosis.checks import State
from matlake.encoders import session
from matlake.encoders.registry import find_encoder
from matlake.encoders.session import onnx_runtime
from matlake.errors import MissingExtraError
from matlake.testing import check_encoder

INSTALL = "pip install 'matlake[cpu]' (or 'matlake[gpu]')"


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither wheel is installed."""
    monkeypatch.setattr(session, "_is_installed", lambda _: False)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)


@pytest.mark.usefixtures("missing")
def test_import_sql_and_datasets_work(lake: matlake.Lake) -> None:
    assert lake.sql("SELECT count(*) AS n FROM gaps").df()["n"].tolist() == [300]
    assert lake.add(["TiO2", "NaCl"], dataset="mine").rows == 2
    lake.rename_dataset("mine", "yours")
    assert {one.name for one in lake.list_datasets()} == {"gaps", "yours"}
    assert not matlake.check(lake).damaged
    matlake.compact(lake)
    assert matlake.status(lake).datasets
    assert any(one.card.name == ENCODER for one in matlake.list_encoders())


@pytest.mark.usefixtures("missing")
@pytest.mark.parametrize(
    "use",
    [
        lambda lake: lake.embed(ENCODER),
        lambda lake: lake.embed("magpie"),
        lambda lake: lake.train("band_gap_eV", features=["magpie"], model="ridge"),
        lambda _: matlake.open_encoder(find_encoder("fractions").folder),
        lambda _: matlake.verify_encoder(find_encoder("fractions").folder),
        lambda _: check_encoder(find_encoder("fractions").folder),
        lambda _: matlake.predict(matlake.open_lake(LAKE_0_1_0), "gap-ridge", "TiO2"),
    ],
    ids=["embed", "descriptors", "train", "open", "verify", "check", "predict"],
)
def test_what_needs_one_says_what_to_install(lake: matlake.Lake, use: Callable[[matlake.Lake], object]) -> None:
    with pytest.raises(MissingExtraError, match="ONNX Runtime is not installed") as caught:
        use(lake)
    assert caught.value.hint == INSTALL


@pytest.mark.usefixtures("missing")
def test_doctor_says_so(lake: matlake.Lake) -> None:
    report = matlake.doctor(lake.path)
    assert not report.passed
    (broken,) = (check for check in report.checks if check.state is State.BROKEN)
    assert (broken.name, broken.found, broken.hint) == ("ONNX Runtime", "ONNX Runtime is not installed", INSTALL)


@pytest.mark.parametrize("left", [None, ModuleType("onnxruntime")], ids=["nothing", "an empty folder"])
def test_a_wheel_that_lost_its_files_to_the_other_is_named_with_the_cure(
    left: ModuleType | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_is_installed", lambda name: name == "onnxruntime")
    monkeypatch.setitem(sys.modules, "onnxruntime", left)
    with pytest.raises(MissingExtraError, match="onnxruntime is installed, and cannot be imported") as caught:
        onnx_runtime()
    assert caught.value.hint == "pip uninstall -y onnxruntime && pip install 'matlake[cpu]'"
