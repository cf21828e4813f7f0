import numpy as np
import pytest
from matrices import matrix_of

from matlake.errors import TrainingError
from matlake.regress.splits import parse_split

METALS = "Li Be Na Mg Al K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Rb Sr".split()


def test_a_value_of_text_or_number_is_held_out() -> None:
    labs = np.array(["Basel"] * 12 + ["Kyoto"] * 4 + [None, ""] + ["Delft"] * 2, dtype=object)
    numbers = np.array([1.0] * 12 + [225.0] * 4 + [np.nan] * 4)
    rows = matrix_of(METALS, columns={"lab": labs, "number": numbers})
    held = parse_split("column:lab:Kyoto").hold_out(rows, 0)
    assert (held.test.tolist(), held.dropped.tolist()) == ([12, 13, 14, 15], [16, 17])
    assert "those that have lab Kyoto" in held.description
    assert "leaves out 2 without lab" in held.description
    assert parse_split("column:number:225").hold_out(rows, 0).test.tolist() == [12, 13, 14, 15]
    assert {fold.label for fold in parse_split("column:lab").folds(rows, 0)} == {"Basel", "Delft", "Kyoto"} - {"Basel"}


def test_a_value_that_no_row_has_is_answered_with_those_there_are() -> None:
    rows = matrix_of(METALS, columns={"lab": np.array(["Basel", "Kyoto"] * 10, dtype=object)})
    with pytest.raises(TrainingError, match="0 of 20 rows have lab Delft") as caught:
        parse_split("column:lab:Delft").hold_out(rows, 0)
    assert "Basel (50.0%), Kyoto (50.0%)" in caught.value.hint
    with pytest.raises(TrainingError, match="no value of lab holds 5% to 30%"):
        parse_split("column:lab").hold_out(rows, 0)


def test_a_column_of_nulls_holds_nothing_out() -> None:
    rows = matrix_of(METALS, columns={"lab": np.array([None] * 20, dtype=object)})
    for make in (lambda split: split.hold_out(rows, 0), lambda split: list(split.folds(rows, 0))):
        with pytest.raises(TrainingError, match=r"no value of lab is known for 0 rows \(20 more are without lab\)"):
            make(parse_split("column:lab"))
