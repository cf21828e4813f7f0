"""Which precision ``embed --precision auto`` takes: int8 where it is faster and loses nothing, and never both."""

from dataclasses import replace
from pathlib import Path

import pytest
from samples import ENCODER, GAPS

from matlake import Lake, import_table, open_lake
from matlake.encoders import precision
from matlake.encoders.precision import in_precision, loses_nothing
from matlake.encoders.registry import RegisteredEncoder, find_encoder
from matlake.errors import EncoderError

INT8 = f"{ENCODER}-int8"


def chosen(feature: str, precision: str = "auto", device: str = "cpu") -> str:
    return in_precision([feature], precision, find_encoder, device)[feature]


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_int8_products", lambda: True)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "has_int8_products", lambda: False)


@pytest.mark.usefixtures("fast")
def test_auto_takes_int8_where_the_processor_has_it_and_the_card_shows_no_loss() -> None:
    assert chosen(f"{ENCODER}@2") == f"{INT8}@2"
    assert chosen(f"{ENCODER}@1+2") == f"{INT8}@1+2"
    assert chosen(ENCODER) == INT8
    assert chosen("elemnet-oqmd-band-gap@2") == "elemnet-oqmd-band-gap@2"  # no other file of it
    assert chosen(f"{ENCODER}@2", device="cuda") == f"{ENCODER}@2"


@pytest.mark.usefixtures("slow")
def test_auto_stays_with_float32_on_other_processors() -> None:
    assert chosen(f"{ENCODER}@2") == f"{ENCODER}@2"


@pytest.mark.usefixtures("fast")
def test_a_card_that_shows_a_loss_or_no_errors_is_not_taken() -> None:
    card = find_encoder(INT8).card
    assert loses_nothing(card)
    assert not loses_nothing(replace(card, metrics={}))
    assert not loses_nothing(replace(card, metrics=card.metrics | {"test_mae_eV_per_atom": 0.05}))
    worse = replace(card, metrics=card.metrics | {"test_mae_eV_per_atom": 0.05})

    def find(name: str) -> RegisteredEncoder:
        found = find_encoder(name)
        return replace(found, card=worse) if name == INT8 else found

    assert in_precision([ENCODER], "auto", find) == {ENCODER: ENCODER}


def test_the_default_is_the_encoder_that_is_named() -> None:
    assert chosen(f"{ENCODER}@2", "as-named") == f"{ENCODER}@2"
    with pytest.raises(EncoderError, match="no precision 'int4'"):
        chosen(ENCODER, "int4")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = open_lake(tmp_path / "lake", create=True)
    import_table(made, GAPS, "gaps")
    return made


def test_a_lake_keeps_to_the_precision_that_it_has(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    feature = f"{ENCODER}@16"
    monkeypatch.setattr(precision, "has_int8_products", lambda: True)
    few = "material_id IN (SELECT material_id FROM materials ORDER BY material_id LIMIT 20)"
    report = lake.embed(feature, where=few, precision="auto", progress=False)
    assert report.features == {feature: f"{INT8}@16"}
    assert f"embedded {INT8}@16 for {feature}" in "\n".join(report.lines())
    monkeypatch.setattr(precision, "has_int8_products", lambda: False)
    assert lake.embed(feature, where=few, precision="auto", progress=False).embedded == 0
    other = open_lake(lake.path.with_name("other"), create=True)
    import_table(other, GAPS, "gaps")
    few = "material_id LIKE '%1'"
    assert other.embed(feature, where=few, progress=False).features == {feature: feature}
    monkeypatch.setattr(precision, "has_int8_products", lambda: True)
    assert other.embed(feature, where=few, precision="auto", progress=False).embedded == 0
