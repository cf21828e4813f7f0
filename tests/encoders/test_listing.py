"""Encoders laid out for people: what helps to choose, and all that a card says."""

import re
from dataclasses import replace

from matlake.encoders.card import Target
from matlake.encoders.listing import card_lines, encoder_document, encoder_summary, encoder_table
from matlake.encoders.registry import RegisteredEncoder, find_encoder, list_encoders
from matlake.encoders.training_record import TrainingRecord, TrainingScope

OURS = find_encoder("cgcnn-mp-formation-energy")
WHY = "the default layer had the smallest error on the evaluation sets"
SCOPE = TrainingScope("Materials Project", ("energy_eV_per_atom", "forces_eV_per_A", "stress_GPa"), "2022-09", "MPtrj")
POTENTIAL = replace(
    OURS,
    card=replace(
        OURS.card,
        name="a-potential",
        target=Target("energy_eV_per_atom", "eV/atom"),
        training=TrainingRecord(scope=SCOPE, notes=(WHY,)),
    ),
)


def shown(encoder: RegisteredEncoder) -> str:
    return " ".join(" ".join(card_lines(encoder)).split())


def test_the_list_fits_a_screen_and_says_what_was_learned() -> None:
    lines = encoder_table([*list_encoders(), POTENTIAL]).lines()
    assert max(map(len, lines)) <= 120
    rows = [re.split(r"\s{2,}", line) for line in lines]
    learned = {row[0]: row[2] for row in rows}
    assert learned["cgcnn-mp-formation-energy"] == "formation energy"
    assert learned["a-potential"] == "energy, forces, …"
    assert learned["magpie"] == "nothing"
    unknown = replace(OURS, card=replace(OURS.card, target=None, training=TrainingRecord()))
    assert "not stated" in encoder_table([unknown]).lines()[-1]


def test_the_summary_has_licence_and_properties() -> None:
    summary = encoder_summary(POTENTIAL)
    assert summary["trained_on"] == list(SCOPE.properties)
    assert summary["licence"] == "CC BY 4.0"


def test_a_card_shows_its_default_layer_and_why_and_the_rule_of_its_training() -> None:
    text = shown(POTENTIAL)
    assert f"default 1 note {WHY} graph" in text
    assert (
        "trained on energy (eV/atom), forces (eV/Å), stress (GPa) data Materials Project up to 2022-09 (MPtrj)" in text
    )
    assert "all of these materials count as trained on" in text
    assert "data Materials Project: mp_structures.parquet, 23,122 rows" in shown(OURS)
    assert "trained on nothing: a descriptor" in shown(find_encoder("fractions"))


def test_a_unit_that_the_name_of_a_column_lacks_is_that_of_the_card() -> None:
    columns = OURS.card.training.columns
    assert columns is not None
    training = replace(OURS.card.training, columns=replace(columns, target_columns=("hardness",)))
    stated = replace(OURS, card=replace(OURS.card, target=Target("hardness", "GPa"), training=training))
    assert "trained on hardness (GPa)" in shown(stated)


def test_the_text_of_a_licence_is_named_where_there_is_one() -> None:
    potential = find_encoder("chgnet-mptrj")
    assert f"text: {potential.folder / 'LICENSE'}" in shown(potential)
    assert "text:" not in shown(OURS)
    assert encoder_document(potential)["training"]["scope"]["until"]
