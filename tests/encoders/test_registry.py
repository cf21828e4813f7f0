"""Which encoder a name means."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from samples import CRYSTAL_ENCODER

import matlake
from matlake.encoders import registry
from matlake.encoders.card import write_card
from matlake.encoders.registry import SHIPPED, copy_to_lake, find_encoder
from matlake.regress.features.feature import resolve_features


def test_a_lake_keeps_the_default_layer_that_it_began_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    copy_to_lake(find_encoder(CRYSTAL_ENCODER), lake.encoders_folder)
    newer = tmp_path / "shipped"
    shutil.copytree(SHIPPED / CRYSTAL_ENCODER, newer / CRYSTAL_ENCODER)
    card = find_encoder(CRYSTAL_ENCODER).card
    write_card(replace(card, default_layer="2"), newer / CRYSTAL_ENCODER)
    monkeypatch.setattr(registry, "SHIPPED", newer)
    other = matlake.open_lake(tmp_path / "other", create=True)
    layers = [resolve_features(one, [CRYSTAL_ENCODER])[0].layer for one in (lake, other)]
    assert layers == [card.default_layer, "2"]
