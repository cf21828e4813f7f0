"""Cards: read whatever version wrote them, written as they were read."""

import json
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from edited_cards import edit_card

from matlake.documents import DIGEST, sealed_json
from matlake.encoders.card import CARD_FILE, InputKind, Precision, Target, read_card, write_card
from matlake.encoders.listing import card_lines, encoder_document
from matlake.encoders.registry import SHIPPED, find_encoder, list_encoders
from matlake.encoders.training_record import TrainingRecord, TrainingScope
from matlake.errors import EncoderError
from matlake.materials.graph_recipe import GraphRecipe

NAMES = [encoder.card.name for encoder in list_encoders()]
BEFORE_CRYSTALS = ("elemnet-oqmd-formation-energy", "elemnet-oqmd-formation-energy-int8")


def written(folder: Path) -> dict[str, object]:
    document: dict[str, object] = json.loads((folder / CARD_FILE).read_bytes())
    return document


def unsealed(folder: Path) -> dict[str, object]:
    return {key: value for key, value in written(folder).items() if key != DIGEST}


@pytest.mark.parametrize("name", [name for name in NAMES if name not in BEFORE_CRYSTALS])
def test_a_card_is_written_as_it_was_read(name: str, tmp_path: Path) -> None:
    card = read_card(SHIPPED / name)
    write_card(card, tmp_path)
    assert written(tmp_path) == written(SHIPPED / name)
    assert read_card(tmp_path) == card


@pytest.mark.parametrize("name", NAMES)
def test_what_is_shown_has_every_entry_of_the_file(name: str) -> None:
    shown = encoder_document(find_encoder(name))
    assert {key: shown[key] for key in written(SHIPPED / name)} == written(SHIPPED / name)
    assert shown["folder"] == str(SHIPPED / name)


def test_parts_have_types() -> None:
    card = read_card(SHIPPED / "cgcnn-mp-formation-energy")
    assert (card.input, card.precision) == (InputKind.CRYSTAL, Precision.FLOAT32)
    assert card.target == Target("formation_energy_eV_per_atom", "eV/atom")
    assert card.input_parameters.graph == GraphRecipe("pairs", 8.0, 12, 4)
    assert card.training.table is not None
    assert card.training.table.rows["held_out"] == 4062
    assert card.training.columns is not None
    assert card.training.columns.shares == (0.84, 0.08, 0.08)


@pytest.mark.parametrize("name", BEFORE_CRYSTALS)
def test_cards_from_before_there_were_crystals_are_read(name: str) -> None:
    card = read_card(SHIPPED / name)
    assert card.training.columns is not None
    assert card.training.columns.material_column == "formula"
    assert card.training.columns.target_columns == ("formation_energy_eV_per_atom",)
    assert any("that cannot be read or used" in line for line in card_lines(find_encoder(name)))


def test_entries_that_this_version_does_not_know_are_kept(tmp_path: Path) -> None:
    card = replace(read_card(SHIPPED / "fractions"), training=TrainingRecord(others={"teacher": "mace"}))
    write_card(card, tmp_path)
    assert read_card(tmp_path).training.others == {"teacher": "mace"}
    assert read_card(tmp_path) == card


SCOPE = TrainingScope("Materials Project", ("energy_eV_per_atom", "forces_eV_per_A"), "2022-09", "MPtrj: relaxations")


def test_a_scope_of_training_is_written_and_read(tmp_path: Path) -> None:
    card = replace(read_card(SHIPPED / "fractions"), training=TrainingRecord(scope=SCOPE))
    write_card(card, tmp_path)
    assert written(tmp_path)["training"] == {
        "scope": {
            "database": "Materials Project",
            "properties": ["energy_eV_per_atom", "forces_eV_per_A"],
            "until": "2022-09",
            "selection": "MPtrj: relaxations",
        }
    }
    assert read_card(tmp_path) == card


@pytest.mark.parametrize(
    ("until", "day"),
    [
        (None, None),
        ("2018", date(2018, 12, 31)),
        ("2024-02", date(2024, 2, 29)),
        ("2018-06-01", date(2018, 6, 1)),
    ],
)
def test_a_scope_ends_with_the_last_day_that_its_date_can_mean(until: str | None, day: date | None) -> None:
    assert replace(SCOPE, until=until).last_day == day


@pytest.mark.parametrize("until", ["", "autumn", "2022-13", "2022-00", "2022-02-30", "2022-09-01-02"])
def test_a_card_whose_scope_has_no_valid_date_is_refused(until: str, tmp_path: Path) -> None:
    shutil.copytree(SHIPPED / "fractions", tmp_path / "fractions")
    scope = {"database": "Materials Project", "properties": ["energy_eV_per_atom"], "until": until}
    edit_card(tmp_path / "fractions" / CARD_FILE, lambda card: card["training"].update(scope=scope))
    with pytest.raises(EncoderError, match="is not an encoder card"):
        read_card(tmp_path / "fractions")


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("format_version", 99, "newer than 2"),
        ("input", "molecule", "is not an encoder card"),
        ("precision", "float8", "is not an encoder card"),
        ("layers", [{"name": "1"}], "is not an encoder card"),
        ("default_layer", "x", "has no layer 'x'"),
        ("name", "../x", "is not an encoder name"),
    ],
)
def test_what_is_not_a_card_is_refused(entry: str, value: object, message: str, tmp_path: Path) -> None:
    (tmp_path / CARD_FILE).write_bytes(sealed_json(unsealed(SHIPPED / "fractions") | {entry: value}))
    with pytest.raises(EncoderError, match=message):
        read_card(tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_an_edited_card_is_refused(name: str, tmp_path: Path) -> None:
    card = written(SHIPPED / name)
    assert not read_card(SHIPPED / name).notes
    for entry, value in (("licence", "mine"), ("target", {"name": "x", "unit": "y"}), (DIGEST, "0" * 64)):
        (tmp_path / CARD_FILE).write_text(json.dumps(card | {entry: value}))
        with pytest.raises(EncoderError, match="does not match its digest") as caught:
            read_card(tmp_path)
        assert "restore the file" in caught.value.hint
    (tmp_path / CARD_FILE).write_text(json.dumps(card, sort_keys=True))  # another layout is the same card
    assert read_card(tmp_path) == read_card(SHIPPED / name)


def test_a_card_of_format_1_opens_with_a_note(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED / "fractions", tmp_path / "fractions")
    path = tmp_path / "fractions" / CARD_FILE
    path.write_text(json.dumps(unsealed(path.parent) | {"format_version": 1}))
    (found,) = (one for one in list_encoders(tmp_path) if not one.shipped)
    assert found.card == replace(read_card(SHIPPED / "fractions"), format_version=1)
    assert found.card.notes == ("the card has format 1, without a digest: an edit of it would go unnoticed",)
    assert found.card.notes[0] in "\n".join(card_lines(found))
    assert encoder_document(found)["notes"] == list(found.card.notes)
    write_card(found.card, path.parent)
    assert not read_card(path.parent).notes
