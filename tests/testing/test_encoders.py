"""The check of an encoder: the contract of ``encoders verify``, and a licence."""

from dataclasses import replace
from pathlib import Path

import pytest

from matlake.encoders.card import read_card, write_card
from matlake.encoders.registry import SHIPPED, copy_files
from matlake.errors import EncoderError
from matlake.testing import check_encoder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copy_files(SHIPPED / "fractions", tmp_path)
    return tmp_path


def test_a_sound_encoder_passes(folder: Path) -> None:
    check_encoder(folder)


def test_a_card_without_a_licence_fails(folder: Path) -> None:
    write_card(replace(read_card(folder), licence="not stated"), folder)
    with pytest.raises(AssertionError, match="the card of fractions states no licence"):
        check_encoder(folder)


def test_a_file_that_breaks_the_contract_fails_with_the_clause(folder: Path) -> None:
    (folder / "encoder.onnx").write_bytes(b"")
    with pytest.raises(AssertionError, match="fractions breaks its contract: The file matches its card"):
        check_encoder(folder)


def test_a_folder_without_a_card_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="no encoder card"):
        check_encoder(tmp_path)
