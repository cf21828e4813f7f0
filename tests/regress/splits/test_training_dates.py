"""Splits by time say which encoders were trained later than what is tested."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matrices import matrix_of
from numpy.typing import NDArray
from samples import CRYSTAL_ENCODER, ENCODER

import matlake
from matlake.encoders.registry import find_encoder
from matlake.encoders.training_record import TrainingRecord, TrainingScope
from matlake.regress.heads.listing import card_lines
from matlake.regress.heads.request import TrainRequest
from matlake.regress.heads.storage import load_head
from matlake.regress.splits import parse_split
from matlake.regress.splits.training_dates import describe_training_dates
from matlake.text_tables import plain_lines

METALS = "Fe Co Ni Cu Zn Al Mg Ca Ti V Cr Mn Li Na K Rb Cs Be Sr Ba".split()
FEATURE = f"{ENCODER}@16"
OURS = find_encoder(CRYSTAL_ENCODER).card
SCOPE = TrainingScope("Materials Project", ("energy_eV_per_atom",), "2018-06-01")
YEARS = np.arange(2004, 2024)


def said(scope: TrainingScope | None, values: NDArray[Any] | list[Any], split: str = "time:when") -> str:
    """What a split's description ends with, for an encoder of that scope."""
    matrix = matrix_of(METALS, columns={"when": np.asarray(values)})
    by = parse_split(split)
    held = by.hold_out(matrix, 0)
    card = replace(OURS, name="net", training=TrainingRecord(scope=scope))
    described = describe_training_dates(held, by, matrix, [find_encoder("magpie").card, card])
    assert described.description.startswith(held.description)
    assert (described.test == held.test).all()
    return described.description.removeprefix(held.description).removeprefix("; ")


def test_rows_from_before_the_end_of_training_are_counted() -> None:
    assert said(SCOPE, YEARS, "time:when>2014") == (
        "net was trained on Materials Project up to 2018-06-01 and may have been trained on 4 of them"
    )
    assert said(SCOPE, YEARS - 10).endswith("may have been trained on all of them")
    assert said(SCOPE, YEARS, "time:when>2018") == ""


@pytest.mark.parametrize("as_text", [False, True])
def test_dates_are_compared_by_the_day(as_text: bool) -> None:
    days = np.datetime64("2018-05-15") + np.arange(20) * np.timedelta64(1, "D")
    values = [str(day) for day in days] if as_text else days
    assert "trained on 3 of them" in said(SCOPE, values, "time:when>2018-05-29")
    assert said(SCOPE, values, "time:when>2018-06-01") == ""


def test_the_last_day_counts_to_its_end() -> None:
    hours = np.datetime64("2018-05-25T11") + np.arange(20) * np.timedelta64(12, "h")
    assert "trained on 2 of them" in said(SCOPE, hours, "time:when>2018-06-01T00")


def test_what_is_not_known_counts_as_trained_on() -> None:
    assert "up to an unknown date and may have been trained on all of them" in said(replace(SCOPE, until=None), YEARS)
    assert said(None, YEARS) == "the card of net has no date of its training data, which may hold all of them"
    assert "may have been trained on all of them" in said(SCOPE, np.arange(20) + 1_600_000_000)


def test_what_was_held_out_of_training_is_stated() -> None:
    matrix = matrix_of(METALS, columns={"when": YEARS})
    by = parse_split("time:when")
    description = describe_training_dates(by.hold_out(matrix, 0), by, matrix, [OURS]).description
    assert description.endswith(
        f"{CRYSTAL_ENCODER} was trained on Materials Project without the compositions of rows where year > 2005"
    )


def test_a_head_and_its_card_say_it(tmp_path: Path, write_table: Callable[..., Path]) -> None:
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    formulas = [f"{metal}{n}O{m}" for metal in METALS for n, m in ((1, 1), (2, 3))]
    gaps = [float(place % 7) for place in range(len(formulas))]
    years = [1990 + place for place in range(len(formulas))]
    matlake.import_table(lake, write_table(formula=formulas, gap_eV=gaps, year=years), "oxides")
    matlake.embed(lake, [FEATURE])
    request = TrainRequest("gap_eV", [FEATURE, "magpie"], "ridge", split="time:year", name="gap")
    said = f"the card of {ENCODER} has no date of its training data, which may hold all of them"
    result = matlake.train(lake, request)
    assert result.document()["split_description"].endswith(said)
    assert any(said in line for line in plain_lines(result.lines()))
    assert any(said in line for line in card_lines(load_head(lake, "gap").card, lake.path))


def test_other_splits_say_nothing() -> None:
    assert said(SCOPE, YEARS, "random") == ""
