"""Making and opening a lake: a killed try is taken up wherever it stopped, and nothing else is taken for a lake."""

import json
import shutil
from pathlib import Path

import forked
import pytest

import matlake
from matlake.encoders.registry import SHIPPED
from matlake.errors import LakeError

KILLED = """
import os, sys
events = 0
def count(event, arguments):
    global events
    if event in ("open", "os.mkdir", "os.rename", "os.listdir", "os.remove") and {path!r} in str(arguments[0]):
        events += 1
        if events == {number}:
            os._exit(9)
sys.addaudithook(count)
import matlake
from pathlib import Path
matlake.open_lake(Path({path!r}), create=True)
os._exit(0)
"""


def test_a_lake_can_be_made_after_a_kill_at_every_step_of_making_it(tmp_path: Path) -> None:
    """The process dies at the first, the second, … touch of a file in the lake."""
    for number in range(1, 40):
        path = tmp_path / f"lake{number}"
        code = forked.run([], KILLED.format(path=str(path), number=number)).returncode
        lake = matlake.open_lake(path, create=True)
        assert lake.dataset_names() == []
        assert sorted(entry.name for entry in path.iterdir()) == [
            *("datasets", "embeddings", "encoders", "failures", "heads", "lake.json")
        ]
        assert lake.query("SELECT count(*) AS n FROM embeddings").to_pylist() == [{"n": 0}]
        if code == 0:
            break
    assert number > 10


def test_a_kill_inside_delta_rs_leaves_a_table_that_can_be_made(tmp_path: Path) -> None:
    path = tmp_path / "lake"
    for folder in ("datasets", "embeddings/_delta_log", "failures"):
        (path / folder).mkdir(parents=True)
    (path / "embeddings" / "_delta_log" / "_commit_0a1b.json.tmp").write_text("{")
    assert matlake.open_lake(path, create=True).dataset_names() == []


@pytest.mark.parametrize("left", [b"", b'{"commitInfo":{"times'])
def test_a_lake_can_be_made_after_a_power_loss_in_the_middle_of_making_it(tmp_path: Path, left: bytes) -> None:
    path = tmp_path / "lake"
    matlake.open_lake(path, create=True)
    (path / "lake.json").unlink()
    (path / "failures" / "_delta_log" / "00000000000000000000.json").write_bytes(left)
    lake = matlake.open_lake(path, create=True)
    assert lake.query("SELECT count(*) AS n FROM failures").to_pylist() == [{"n": 0}]


@pytest.mark.parametrize(
    "foreign",
    [
        "notes.txt",
        "datasets/mine.csv",
        "encoders/mine/code.py",
        "embeddings/vectors.npy",
        "heads/head.txt",
        "plots/figure.png",
        "Datasets/x",
    ],
)
def test_a_folder_of_something_else_is_not_made_a_lake(tmp_path: Path, foreign: str) -> None:
    path = tmp_path / "folder"
    (path / foreign).parent.mkdir(parents=True)
    (path / foreign).write_text("mine")
    with pytest.raises(LakeError, match="holds other files and no lake"):
        matlake.open_lake(path, create=True)
    assert [entry.relative_to(path).as_posix() for entry in path.rglob("*") if entry.is_file()] == [foreign]


def test_a_folder_that_only_holds_exported_encoders_becomes_a_lake(tmp_path: Path) -> None:
    exported = tmp_path / "lake" / "encoders" / "fractions"
    shutil.copytree(SHIPPED / "fractions", exported)
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    found = {encoder.card.name: encoder.folder for encoder in lake.list_encoders()}
    assert found["fractions"] == exported


def test_a_lake_is_opened_by_a_path_as_text(tmp_path: Path) -> None:
    matlake.open_lake(str(tmp_path / "lake"), create=True)
    assert matlake.open_lake(str(tmp_path / "lake")).path == tmp_path / "lake"


def test_a_lake_that_lost_its_marker_gets_it_back(lake: matlake.Lake) -> None:
    (lake.path / "lake.json").unlink()
    assert matlake.open_lake(lake.path, create=True).dataset_names() == ["gaps"]


@pytest.mark.parametrize("version", ['"1"', "null", "1.0", "[1]", "{}", "true", "0", "-1", "1e999", '"\\u001b[31m"'])
def test_a_format_version_that_is_not_one_is_one_line(lake: matlake.Lake, version: str) -> None:
    (lake.path / "lake.json").write_text(f'{{"format_version": {version}}}')
    with pytest.raises(LakeError, match="format version") as caught:
        matlake.open_lake(lake.path)
    assert "format_version" in caught.value.hint
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "[]", "7", "null", "{", "[" * 100_000, '{"version": 1}', "\x00\xff"])
def test_a_marker_that_says_nothing_is_one_line(lake: matlake.Lake, content: str) -> None:
    (lake.path / "lake.json").write_text(content, encoding="latin-1")
    with pytest.raises(LakeError, match="does not say which format"):
        matlake.open_lake(lake.path)


def test_a_newer_lake_is_refused(lake: matlake.Lake) -> None:
    (lake.path / "lake.json").write_text(json.dumps({"format_version": 10**30}))
    with pytest.raises(LakeError, match="newer"):
        matlake.open_lake(lake.path)


def test_a_file_in_the_place_of_a_lake_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file", tmp_path / "file" / "lake"):
        with pytest.raises(LakeError, match="cannot make a lake at"):
            matlake.open_lake(path, create=True)


def test_a_copy_of_a_lake_is_a_lake(lake: matlake.Lake, tmp_path: Path) -> None:
    shutil.copytree(lake.path, tmp_path / "copy")
    assert matlake.open_lake(tmp_path / "copy").dataset_names() == ["gaps"]
