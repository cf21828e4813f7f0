import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import matlake
from matlake.errors import HeadError
from matlake.regress.head import Head, HeadCard, check_encoder, list_heads, load_head, save_head
from matlake.regress.result import TrainResult


@pytest.fixture
def home(tmp_path: Path, embedded: matlake.Lake, trained: TrainResult) -> Path:
    """A folder with a copy of the trained head."""
    shutil.copytree(embedded.path / "heads" / trained.card.name, tmp_path / "heads" / trained.card.name)
    return tmp_path


def content_of(home: Path, name: str = "gap") -> bytes:
    return (home / "heads" / name / "head.onnx").read_bytes()


def test_a_head_survives_the_round_trip(home: Path, trained: TrainResult) -> None:
    saved = save_head(home, replace(trained.card, name="copy", sha256=""), content_of(home))
    head = load_head(home, "copy")
    assert head.card == saved == replace(trained.card, name="copy")
    assert head.predict(np.zeros((3, 160), dtype=np.float32)).shape == (3,)
    assert head.predict(np.zeros((0, 160), dtype=np.float32)).shape == (0,)
    assert [card.name for card in list_heads(home)] == ["copy", "gap"]


def test_a_head_is_replaced_as_a_whole(home: Path, trained: TrainResult) -> None:
    save_head(home, replace(trained.card, seed=99), content_of(home))
    assert load_head(home, "gap").card.seed == 99
    assert sorted(path.name for path in (home / "heads" / "gap").iterdir()) == ["card.json", "head.onnx"]
    assert not [*home.glob("heads/.saving/*"), *home.glob("heads/.replaced/*")]


class Crash(BaseException):
    """The end of a process, as far as a test can have one."""


@pytest.mark.parametrize("call", range(1, 9))
def test_a_crash_while_replacing_leaves_the_old_head_or_the_new_one(
    home: Path, trained: TrainResult, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    calls = 0

    def crash_at(original: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*arguments: object, **options: object) -> object:
            nonlocal calls
            calls += 1
            if calls == call:
                raise Crash
            return original(*arguments, **options)

        return wrapped

    content = content_of(home)
    with monkeypatch.context() as patch:
        for owner, name in ((Path, "rename"), (Path, "replace"), (os, "fsync")):
            patch.setattr(owner, name, crash_at(getattr(owner, name)))
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)  # a dead process tidies nothing
        with pytest.raises(Crash):
            save_head(home, replace(trained.card, seed=99), content)
    assert load_head(home, "gap").card.seed in (trained.card.seed, 99)
    assert [card.name for card in list_heads(home)] == ["gap"]
    save_head(home, replace(trained.card, seed=100), content)
    assert load_head(home, "gap").card.seed == 100


def test_an_unknown_head_is_answered_with_the_known_ones(home: Path) -> None:
    with pytest.raises(HeadError, match="no head 'gaps'") as caught:
        load_head(home, "gaps")
    assert caught.value.hint == "heads: gap"


@pytest.mark.parametrize("name", ["../gap", "", ".replaced", "a/b", "x" * 101])
def test_a_name_that_could_leave_the_folder_is_refused(home: Path, trained: TrainResult, name: str) -> None:
    with pytest.raises(HeadError, match="is not a head name"):
        load_head(home, name)
    with pytest.raises(HeadError, match="is not a head name"):
        save_head(home, replace(trained.card, name=name), b"")


def test_a_changed_file_is_refused(home: Path) -> None:
    path = home / "heads" / "gap" / "head.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(HeadError, match="does not match the sha256"):
        load_head(home, "gap")


def test_a_file_that_is_no_onnx_is_refused_although_its_digest_fits(home: Path, trained: TrainResult) -> None:
    save_head(home, trained.card, b"\x80\x04cposix\nsystem\n(S'touch /tmp/pwned'\ntR.")
    with pytest.raises(HeadError, match="not an ONNX file"):
        load_head(home, "gap")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format_version": "one"}', '{"format_version": 1, "features": 3}'])
def test_a_damaged_card_is_one_clear_error(home: Path, text: str) -> None:
    (home / "heads" / "gap" / "card.json").write_text(text)
    with pytest.raises(HeadError, match="is not a head's card"):
        load_head(home, "gap")


def test_a_newer_card_asks_for_an_update(home: Path) -> None:
    path = home / "heads" / "gap" / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": 2}))
    with pytest.raises(HeadError, match="card format 2, newer than 1"):
        load_head(home, "gap")


def test_another_encoder_of_the_same_name_is_refused_with_both_digests(
    embedded: matlake.Lake, trained: TrainResult
) -> None:
    card: HeadCard = trained.card
    feature = card.features[0]
    encoder = embedded.find_encoder(feature.encoder).card
    check_encoder(card, feature, encoder)
    with pytest.raises(HeadError) as caught:
        check_encoder(card, feature, replace(encoder, sha256="f" * 64))
    assert feature.sha256 in str(caught.value)
    assert "f" * 64 in str(caught.value)


def test_a_head_says_what_it_was_made_from(embedded: matlake.Lake, trained: TrainResult) -> None:
    head: Head = load_head(embedded.path, "gap")
    card = head.card
    assert (card.target, card.unit, card.model, card.split) == ("band_gap_eV", "eV", "ridge", "random")
    assert card.n_train + card.n_test == 307
    assert card.metrics["mae"] == trained.metrics.mae
    assert card.parity is not None
    assert card.parity <= 1e-4
    assert [feature.dim for feature in card.features] == [128, 32]
