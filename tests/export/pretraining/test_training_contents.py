"""What encoders were trained on is read from the very tables that their cards name."""

from dataclasses import replace
from pathlib import Path

import pytest

from matlake.encoders.card import EncoderCard
from matlake.encoders.registry import find_encoder
from matlake.encoders.training_contents import random_parts
from matlake.encoders.training_record import TableRecipe, TrainingRecord
from matlake.errors import EncoderError, SourceError
from matlake.export.pretraining.training_contents import read_training_contents
from matlake.export.pretraining.training_data import TrainingTable
from matlake.materials.formula import parse_formula, readings

FORMULAS = [f"{metal}{a}O{b}" for metal in ("Ti", "Fe", "Mg") for a in (1, 2, 3) for b in (1, 2, 5)]


@pytest.fixture
def table(write_table) -> TrainingTable:
    path = write_table(
        "energies.parquet",
        formula=FORMULAS,
        energy_eV_per_atom=[float(row) if row != 3 else None for row in range(len(FORMULAS))],
        year=[2000 + row for row in range(len(FORMULAS))],
    )
    return TrainingTable.from_file(path)


def _card(table: TrainingTable, **columns: object) -> EncoderCard:
    shipped = find_encoder("elemnet-oqmd-volume").card
    assert shipped.training.table is not None
    recipe = {"target_columns": ("energy_eV_per_atom",), "split_column": None, "seed": 7, "shares": (0.6, 0.2, 0.2)}
    training = TrainingRecord(
        table=replace(shipped.training.table, file=table.name, sha256=table.sha256),
        columns=replace(shipped.training.columns, **recipe | columns),
    )
    return replace(shipped, training=training)


def test_rows_trained_on_differ_from_others(table: TrainingTable) -> None:
    card = _card(table)
    contents = read_training_contents([table], [card])[card.sha256]
    hashes = [parse_formula(formula).content_hash for formula in FORMULAS]
    parts = random_parts(hashes, 7, (0.6, 0.2, 0.2))
    known = [(one, part) for row, (one, part) in enumerate(zip(hashes, parts, strict=True)) if row != 3]
    assert contents.compositions == {one for one, part in known if part == "train"}
    assert contents.chosen_by == {one for one, part in known if part == "val"}
    assert not contents.crystals


def test_what_was_held_out_was_not_seen(table: TrainingTable) -> None:
    card = _card(table, held_out="year > 2010")
    contents = read_training_contents([table], [card])[card.sha256]
    late = {parse_formula(formula).content_hash for formula in FORMULAS[11:]}
    assert contents.compositions
    assert not contents.compositions & late


def test_cards_from_before_crystals_are_read_as_well(table: TrainingTable) -> None:
    new = _card(table, shares=(0.7, 0.15, 0.15))
    columns = {"formula_column": "formula", "target_column": "energy_eV_per_atom", "split_column": None, "seed": 7}
    recipe = TableRecipe.read_entries({**columns, "max_abs": None})
    old = replace(new, sha256="old", training=replace(new.training, columns=recipe))
    found = read_training_contents([table], [old, new])
    assert found["old"] == found[new.sha256]


def test_another_table_or_an_unknown_recipe_is_refused(table: TrainingTable) -> None:
    with pytest.raises(SourceError, match=r"energies.parquet is not the table that any of these"):
        read_training_contents([table], [find_encoder("cgcnn-mp-formation-energy").card])
    card = _card(table)
    with pytest.raises(EncoderError, match="does not say how its table was read"):
        read_training_contents([table], [replace(card, training=replace(card.training, columns=None))])
    assert read_training_contents([], [card]) == {}


def test_the_shipped_crystal_encoders_never_saw_what_was_first_reported_after_2005(development_data) -> None:
    import pyarrow.parquet as pq

    path: Path = development_data("mp_structures.parquet")
    cards = [find_encoder(f"{name}-mp-formation-energy").card for name in ("cgcnn", "dimenet++")]
    found = read_training_contents([TrainingTable.from_file(path)], cards)
    assert len({id(contents) for contents in found.values()}) == 1
    contents = found[cards[0].sha256]
    assert len(contents.crystals) > 15_000
    rows = pq.read_table(path, columns=["formula", "year"]).to_pylist()
    late = {
        composition.content_hash
        for row in rows
        if row["year"] and row["year"] > 2005
        for composition in readings(row["formula"])
    }
    assert not contents.compositions & late
    assert len(contents.compositions) + len(late) + len(contents.chosen_by) > 18_000
