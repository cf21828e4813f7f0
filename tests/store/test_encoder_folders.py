"""Folders of encoders: put, replaced and removed as a whole, in folders and in buckets."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import matlake
from matlake.encoders.card import CARD_FILE, MODEL_FILE, read_card, write_card
from matlake.encoders.registry import SHIPPED, copy_files
from matlake.store.encoder_folders import (
    BEING_REGISTERED,
    put_encoder_card,
    put_encoder_folder,
    remove_encoder_folder,
    stored_vectors,
)
from matlake.store.folders import LakeFolders


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    copy_files(SHIPPED / "fractions", folder)
    write_card(replace(read_card(folder), name="mine"), folder)
    return folder


@pytest.fixture(params=["in a folder", "in a bucket"])
def folders(request: pytest.FixtureRequest, tmp_path: Path) -> LakeFolders:
    if request.param == "in a folder":
        return matlake.open_lake(tmp_path / "lake", create=True)
    found: LakeFolders = request.getfixturevalue("in_memory")
    return found


def names(lake: LakeFolders) -> list[str]:
    return [one.card.name for one in lake.list_encoders() if not one.shipped]


def test_an_encoder_is_put_replaced_and_removed(folders: LakeFolders, source: Path) -> None:
    put_encoder_folder(folders, source, "mine")
    assert names(folders) == ["mine"]
    write_card(replace(read_card(source), version=2), source)
    (folders.encoders_folder / "mine" / "LICENSE").write_bytes(b"of another")
    put_encoder_folder(folders, source, "mine")
    assert folders.find_encoder("mine").card.version == 2
    write_card(replace(read_card(source), licence="MIT"), source)
    put_encoder_card(folders, source, "mine")
    kept = folders.find_encoder("mine")
    assert (kept.card.licence, (kept.folder / MODEL_FILE).exists()) == ("MIT", True)
    remove_encoder_folder(folders, "mine")
    assert names(folders) == []
    assert not (folders.encoders_folder / "mine").exists()


def test_a_kill_between_the_old_one_and_the_new_one_leaves_both_aside(tmp_path: Path, source: Path) -> None:
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    left = tmp_path / "lake" / "encoders" / BEING_REGISTERED / "mine.1"
    shutil.copytree(source, left)
    assert names(lake) == []
    assert lake.check().damaged == []
    put_encoder_folder(lake, source, "mine")
    assert names(lake) == ["mine"]
    lake.compact(retention_hours=0)
    assert not left.exists()
    assert names(lake) == ["mine"]


def test_a_new_folder_that_cannot_get_its_name_leaves_the_old_one(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    put_encoder_folder(lake, source, "mine")
    rename = Path.replace

    def fails(path: Path, target: Path) -> Path:
        if path.parent.name == BEING_REGISTERED and not path.name.endswith(".replaced"):
            raise OSError(5, "Input/output error")
        return rename(path, target)

    write_card(replace(read_card(source), version=2), source)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fails)
        with pytest.raises(OSError, match="Input/output error"):
            put_encoder_folder(lake, source, "mine")
    assert lake.find_encoder("mine").card.version == 1
    assert {path.name for path in (tmp_path / "lake" / "encoders").iterdir()} == {"mine"}
    assert (tmp_path / "lake" / "encoders" / "mine" / CARD_FILE).exists()


def test_vectors_are_counted_by_layer_and_file(embedded: matlake.Lake) -> None:
    found = stored_vectors(embedded, "elemnet-oqmd-formation-energy")
    assert [(one.layer, one.rows > 100) for one in found] == [("13", True), ("16", True)]
    assert {one.sha256 for one in found} == {embedded.find_encoder("elemnet-oqmd-formation-energy").card.sha256}
    assert stored_vectors(embedded, "magpie") == []
