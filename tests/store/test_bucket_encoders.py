"""Encoders of a lake in a bucket: cards are read, files are fetched when they are wanted."""

import shutil
from dataclasses import replace

import pytest

from matlake.encoders.card import CARD_FILE, MODEL_FILE, read_card, write_card
from matlake.encoders.encoder import open_encoder
from matlake.encoders.registry import find_encoder
from matlake.errors import DamageWarning, EncoderError
from matlake.store.bucket_encoders import encoder_in_bucket
from matlake.store.folders import LakeFolders
from matlake.store.storage.copies import cache_folder
from matlake.store.storage.remote_path import RemotePath

NAME = "fractions"


def fetched() -> set[str]:
    return {path.name for path in cache_folder().rglob("*.*") if path.is_file() and ".sha256" not in path.parts[-2]}


def test_an_encoder_is_kept_listed_and_opened(in_memory: LakeFolders) -> None:
    assert in_memory.find_encoder(NAME).shipped
    in_memory.keep_encoder(in_memory.find_encoder(NAME))
    kept = in_memory.find_encoder(NAME)
    assert not kept.shipped
    assert [one.card for one in in_memory.list_encoders() if not one.shipped] == [kept.card]
    assert MODEL_FILE not in fetched()  # an encoder may have 50 MB
    assert open_encoder(kept.folder).card == find_encoder(NAME).card
    assert MODEL_FILE in fetched()


def test_an_encoder_without_a_card_does_not_exist_and_a_damaged_card_is_named(in_memory: LakeFolders) -> None:
    place = in_memory.encoders_folder / "half"
    (place / MODEL_FILE).write_bytes(b"")
    with pytest.raises(EncoderError, match="no encoder named 'half'"):
        in_memory.find_encoder("half")
    (place / CARD_FILE).write_bytes(b"{}")
    with pytest.warns(DamageWarning, match="is not an encoder card"):
        in_memory.list_encoders()


def test_an_encoder_that_was_deleted_meanwhile_is_an_error(in_memory: LakeFolders) -> None:
    kept = in_memory.keep_encoder(find_encoder(NAME))
    (in_memory.encoders_folder / NAME / CARD_FILE).unlink()
    with pytest.raises(EncoderError, match="is there no more"):
        _ = kept.folder


def test_an_export_into_a_bucket_replaces_an_encoder_as_a_whole(in_memory: LakeFolders) -> None:
    place = in_memory.encoders_folder / "mine"
    assert isinstance(place, RemotePath)
    with encoder_in_bucket(place) as folder:
        assert not folder.exists()
        shutil.copytree(find_encoder(NAME).folder, folder)
        write_card(replace(read_card(folder), name="mine"), folder)
    assert in_memory.find_encoder("mine").card.version == 1
    with encoder_in_bucket(place) as folder:
        write_card(replace(read_card(folder), version=2), folder)
    assert in_memory.find_encoder("mine").card.version == 2
    with pytest.raises(FileNotFoundError), encoder_in_bucket(place) as folder:
        (folder / "absent").unlink()
    assert open_encoder(in_memory.find_encoder("mine").folder).card.version == 2
