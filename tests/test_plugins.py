"""Plug-ins: found by their entry points when their name is asked for; one that is broken harms nobody else."""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from plugin_packages import add_package, on_the_path

import matlake
from matlake.diagnosis.checks import Check, State
from matlake.diagnosis.plugins import check_plugins
from matlake.encoders.registry import SHIPPED, find_encoder, list_encoders
from matlake.errors import EncoderError, PluginError, SourceError, TrainingError
from matlake.plugins import PluginKind
from matlake.regress.regressors import MODELS, named_model
from matlake.regress.regressors.catalogue import REGRESSOR_PLUGINS
from matlake.regress.splits import parse_split
from matlake.store.importing.readers import open_source
from matlake.store.sources.catalogue import named_source

MODEL = """
from matlake.regress.regressors import MODELS
from dataclasses import replace
MINE = replace(MODELS["ridge"], name="mine")
OTHER = replace(MODELS["ridge"], name="other")
RIDGE = MODELS["ridge"]
NUMBER = 7
"""


@pytest.fixture
def packages(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "packages"
    folder.mkdir()
    with on_the_path(folder):
        yield folder


def add_models(packages: Path, name: str = "mine-models", **entries: str) -> None:
    add_package(packages, name, MODEL, {"matlake.regressors": entries})


def found(name: str) -> Check:
    (check,) = (check for check in check_plugins() if check.name == f"plug-in {name}")
    return check


def test_a_model_of_another_package_is_found_by_its_name(packages: Path) -> None:
    add_models(packages, mine="MINE")
    assert named_model("mine").name == "mine"
    assert named_model("ridge") is MODELS["ridge"]
    assert found("mine") == Check("plug-in mine", State.OK, "regressor of mine-models 1.0 (matlake.regressors)")


def test_an_unknown_name_lists_the_plug_ins_beside_the_own_names(packages: Path) -> None:
    add_models(packages, mine="MINE")
    with pytest.raises(TrainingError, match="unknown model 'yours'") as caught:
        named_model("yours")
    assert ", mine, fine-tune:ENCODER" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "code", "place", "reason"),
    [
        ("lacking", "import nothing_of_the_kind", "X", "ModuleNotFoundError: No module named 'nothing_of_the_kind'"),
        ("leaving", "raise SystemExit('bye')", "X", "SystemExit: bye"),
        ("empty", "", "X", "AttributeError: .* has no attribute 'X'"),
        ("number", MODEL, "NUMBER", "it is of type int, not matlake.regress.regressors.Model"),
        ("other", MODEL, "MINE", "it calls itself 'mine', its entry point 'other'"),
        ("ridge", MODEL, "RIDGE", "matlake itself has one of this name"),
        ("auto", MODEL, "MINE", "matlake itself has one of this name"),
        ("fine-tune", MODEL, "MINE", "matlake itself has one of this name"),
        ("My Model", MODEL, "MINE", "its name is not of lower-case letters"),
    ],
)
def test_one_that_cannot_be_used_is_named_with_the_reason_and_stops_nothing(
    packages: Path, name: str, code: str, place: str, reason: str
) -> None:
    add_package(packages, "broken", code, {"matlake.regressors": {name: place}})
    add_models(packages, mine="MINE")
    assert named_model("mine").name == "mine"
    check = found(name)
    assert check.state is State.WARNING
    assert check.found.startswith("regressor of broken 1.0 cannot be used (matlake.regressors): ")
    assert check.hint == "update or uninstall broken"
    with pytest.raises(PluginError, match=f"the regressor '{name}' of the package broken 1.0 .*: {reason}") as caught:
        REGRESSOR_PLUGINS.find(name)
    assert "matlake.doctor()" in caught.value.hint
    assert "`matlake doctor`" in caught.value.cli_hint


def test_a_built_in_wins_over_a_plug_in_of_its_name(packages: Path) -> None:
    add_models(packages, ridge="RIDGE")
    assert named_model("ridge") is MODELS["ridge"]


def test_of_two_packages_with_one_name_neither_is_chosen_silently(packages: Path) -> None:
    add_models(packages, mine="MINE")
    add_models(packages, "yours", mine="MINE")
    with pytest.raises(PluginError, match=r"mine-models 1\.0 cannot be used: yours 1\.0 adds one of this name"):
        named_model("mine")


def test_doctor_names_groups_that_there_are_not(packages: Path) -> None:
    add_package(packages, "typo", MODEL, {"matlake.regressor": {"mine": "MINE"}})
    check = found("mine")
    assert check.state is State.WARNING
    assert "typo 1.0 adds it to matlake.regressor, a group that this matlake does not have" in check.found
    assert "matlake.regressors" in check.hint


def test_doctor_passes_with_broken_plug_ins_and_without_any(packages: Path, tmp_path: Path) -> None:
    assert check_plugins() == [Check("plug-ins", State.OK, "none are installed")]
    add_package(packages, "broken", "1 / 0", {"matlake.splits": {"mine": "X"}})
    report = matlake.doctor(tmp_path / "lake")
    assert report.passed
    assert any("ZeroDivisionError" in check.found for check in report.checks)


def test_nothing_is_loaded_where_no_plug_in_is_asked_for(packages: Path) -> None:
    groups = ("readers", "sources", "encoders", "regressors", "splits")
    add_package(packages, "costly", "raise KeyboardInterrupt", {f"matlake.{group}": {"mine": "X"} for group in groups})
    named_model("ridge")
    parse_split("random")
    find_encoder("fractions")
    assert REGRESSOR_PLUGINS.names() == ["mine"]
    assert "costly" not in sys.modules


def test_a_split_of_another_package_is_typed_like_any(packages: Path) -> None:
    code = """
from matlake.regress.splits import Method, parse_split
MINE = Method("by-luck[:NUMBER]", lambda argument: parse_split("random"))
"""
    add_package(packages, "luck", code, {"matlake.splits": {"by-luck": "MINE"}})
    assert parse_split("by_luck:3").text == "random"
    with pytest.raises(TrainingError, match="lacks what comes after the colon"):
        parse_split("by-luck:")
    with pytest.raises(TrainingError) as caught:
        parse_split("by-lick")
    assert ", by-luck" in caught.value.hint


def test_an_encoder_of_another_package_is_found_listed_and_used(packages: Path, tmp_path: Path) -> None:
    folder = made_encoder(tmp_path / "copy", "mine")
    add_package(packages, "coder", f"MINE = {str(folder)!r}", {"matlake.encoders": {"mine": "MINE"}})
    assert find_encoder("mine").plugin
    assert [one.card.name for one in list_encoders() if one.plugin] == ["mine"]
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    (tmp_path / "x.csv").write_text("formula\nTiO2\nNaCl\n")
    matlake.import_table(lake, tmp_path / "x.csv", "x")
    matlake.embed(lake, ["mine"])
    assert not lake.find_encoder("mine").plugin  # the lake has its own copy, for when the package is gone


def test_an_encoder_that_was_changed_is_refused(packages: Path, tmp_path: Path) -> None:
    folder = made_encoder(tmp_path / "copy", "mine")
    (folder / "encoder.onnx").write_bytes((folder / "encoder.onnx").read_bytes() + b"x")
    add_package(packages, "coder", f"MINE = {str(folder)!r}", {"matlake.encoders": {"mine": "MINE"}})
    check = found("mine")
    assert check.state is State.WARNING
    assert "does not match the sha256 of its card" in check.found
    with pytest.raises(EncoderError, match="does not match the sha256"):
        matlake.open_encoder(find_encoder("mine").folder)


def made_encoder(folder: Path, name: str) -> Path:
    """Write the element fractions as an encoder of another name."""
    from dataclasses import replace

    from matlake.encoders.card import read_card, write_card
    from matlake.encoders.registry import copy_files

    folder.mkdir()
    copy_files(SHIPPED / "fractions", folder)
    write_card(replace(read_card(folder), name=name, architecture="copied"), folder)
    return folder


READER = """
from matlake.materials.crystal import make_crystal
from matlake.store.importing.readers import Reader, Record

def read(content, max_atoms):
    for line in content.decode().splitlines():
        if line == "fail":
            raise ValueError("not a number")
        yield Record({"gap_eV": float(line)}, make_crystal([1] * int(float(line)), [[4, 0, 0], [0, 4, 0], [0, 0, 4]],
                     [[0.1 * i, 0, 0] for i in range(int(float(line)))]))

MINE = Reader("mine", (".mine",), read)
"""


def test_a_reader_of_another_package_reads_files_folders_and_archives(packages: Path, tmp_path: Path) -> None:
    add_package(packages, "reading", READER, {"matlake.readers": {"mine": "MINE"}})
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a.mine").write_text("1\n2\n")
    (folder / "B.MINE").write_text("3\nfail\n4\n")
    for path in (folder, archive_of(folder)):
        source = open_source(path, max_atoms=2)
        (batch,) = source.batches()
        rows = dict(zip(batch.columns["material_id"].to_pylist(), batch.crystals or (), strict=True))
        assert sorted(rows) == ["B-1", "B-2", "a-1", "a-2"]
        assert str(rows["B-1"]) == "3 atoms, more than 2"
        assert str(rows["B-2"]) == "the reader 'mine' failed at B.MINE: ValueError: not a number"
        np.testing.assert_array_equal(rows["a-2"].numbers, [1, 1])  # type: ignore[union-attr]
        assert dict(zip(rows, batch.columns["gap_eV"].to_pylist(), strict=True))["a-2"] == 2.0


def archive_of(folder: Path) -> Path:
    import shutil

    return Path(shutil.make_archive(str(folder.with_suffix("")), "zip", folder))


def test_a_file_that_nobody_reads_names_the_readers_that_cannot_be_used(packages: Path, tmp_path: Path) -> None:
    add_package(packages, "reading", READER.replace('(".mine",)', '("mine",)'), {"matlake.readers": {"mine": "MINE"}})
    (tmp_path / "a.mine").write_text("1\n")
    with pytest.raises(SourceError, match="cannot tell from its name") as caught:
        open_source(tmp_path / "a.mine")
    assert "the reader 'mine' of reading 1.0 cannot be used: its endings are not like '.res': mine" in caught.value.hint


def test_a_source_of_another_package_is_named_like_any(packages: Path) -> None:
    code = """
class Source:
    def __init__(self, rest):
        self.origin = "mine:" + rest
NUMBER = 7
"""
    entries = {"matlake.sources": {"mine": "Source", "seven": "NUMBER"}}
    add_package(packages, "sourcing", code, entries)
    assert named_source("mine:all").origin == "mine:all"
    with pytest.raises(PluginError, match="it is of type int, not a function"):
        named_source("seven:all")
    with pytest.raises(SourceError, match="there is no source 'theirs'") as caught:
        named_source("theirs:all")
    assert "mine, " in caught.value.hint


def test_what_another_kind_of_the_group_takes_is_left_to_it(packages: Path) -> None:
    add_models(packages, mine="MINE")
    kind = PluginKind("matlake.regressors", "thing", lambda _name, _found: None, tuple)
    assert kind.find("mine") is None
    assert not list(kind.usable())
