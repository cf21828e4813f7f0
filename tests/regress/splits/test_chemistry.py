import numpy as np
import pytest
from matrices import matrix_of

from matlake.errors import TrainingError
from matlake.materials.periodic_table import FAMILIES, SYMBOLS, group_of, period_of
from matlake.regress.splits import parse_split

COMPOUNDS = "Fe FeO Fe2O3 NaCl KCl KBr MgO CaF2 LaN CeN GaAs InP Si Ge C ZnS".split()


def held_out_by(text: str, formulas: list[str]) -> set[str]:
    held = parse_split(text).hold_out(matrix_of(formulas), 0)
    return {formulas[row] for row in held.test}


def test_groups_and_periods_are_those_of_pymatgen() -> None:
    from pymatgen.core.periodic_table import Element

    assert [(group_of(z), period_of(z)) for z in range(1, 119)] == [
        (Element(symbol).group, Element(symbol).row) for symbol in SYMBOLS
    ]


def test_families_are_those_of_pymatgen() -> None:
    from pymatgen.core.periodic_table import Element

    for family, member in [
        ("alkali-metals", "is_alkali"),
        ("alkaline-earth-metals", "is_alkaline"),
        ("lanthanides", "is_lanthanoid"),
        ("actinides", "is_actinoid"),
        ("chalcogens", "is_chalcogen"),
        ("halogens", "is_halogen"),
        ("noble-gases", "is_noble_gas"),
    ]:
        expected = {z for z, symbol in enumerate(SYMBOLS, start=1) if getattr(Element(symbol), member)}
        assert set(FAMILIES[family]) >= expected
        assert all(z > 112 for z in set(FAMILIES[family]) - expected)  # pymatgen leaves Ts, Og and Lv out
    assert "H" not in {SYMBOLS[z - 1] for z in FAMILIES["alkali-metals"]}
    assert {SYMBOLS[z - 1] for z in FAMILIES["rare-earths"]} >= {"Sc", "Y", "La", "Lu"}
    assert {SYMBOLS[z - 1] for z in FAMILIES["transition-metals"]} & {"Fe", "La", "Al", "Zn", "Hf"} == {
        "Fe",
        "Zn",
        "Hf",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("element:O", {"FeO", "Fe2O3", "MgO"}),
        ("group:17", {"NaCl", "KCl", "KBr", "CaF2"}),
        ("group:halogens", {"NaCl", "KCl", "KBr", "CaF2"}),
        ("group:lanthanides", {"LaN", "CeN"}),
        ("period:2", {"FeO", "Fe2O3", "MgO", "CaF2", "LaN", "CeN", "C"}),
        ("chemical-system:O-Fe", {"FeO", "Fe2O3"}),
    ],
)
def test_what_is_named_is_held_out(text: str, expected: set[str]) -> None:
    assert held_out_by(text, COMPOUNDS) == expected


def test_an_element_is_drawn_among_those_of_moderate_share(gaps) -> None:
    split = parse_split("element")
    labels = {split.hold_out(gaps, seed).label for seed in range(12)}
    assert len(labels) > 3
    for label in labels:
        share = np.mean(gaps.fractions[:, SYMBOLS.index(label)] > 0)
        assert 0.05 <= share <= 0.3


def test_folds_hold_out_each_element_with_enough_compositions(gaps) -> None:
    folds = {fold.label: fold for fold in parse_split("element").folds(gaps, 0)}
    rows = {symbol: np.flatnonzero(gaps.fractions[:, z] > 0) for z, symbol in enumerate(SYMBOLS)}
    assert set(folds) == {symbol for symbol, held in rows.items() if len(np.unique(gaps.groups[held])) > 1}
    assert all(np.array_equal(fold.test, rows[symbol]) for symbol, fold in folds.items())


def test_an_element_that_no_row_contains_is_answered_with_those_that_rows_contain() -> None:
    with pytest.raises(TrainingError, match="0 of 16 rows contain Xe") as caught:
        held_out_by("element:Xe", COMPOUNDS)
    assert "O (18.8%)" in caught.value.hint


def test_an_element_of_all_rows_leaves_nothing_to_train_on() -> None:
    oxides = [f"{metal}O" for metal in "Li Na K Mg Ca Sr Ba Ti Fe Co Ni Cu".split()]
    with pytest.raises(TrainingError, match="0 to train on and 12 to test on, where 8 and 2 are needed"):
        held_out_by("element:O", oxides)


def test_when_no_part_is_of_moderate_share_the_shares_are_told(gaps) -> None:
    with pytest.raises(TrainingError, match=r"no period holds 5% to 30% of 1,151 rows.* 4 \(6") as caught:
        parse_split("period").hold_out(gaps, 0)
    assert "period:NAME" in caught.value.hint


def test_a_target_that_is_constant_in_training_is_refused_with_its_value() -> None:
    y = [float("O" in formula) for formula in COMPOUNDS]
    with pytest.raises(TrainingError, match="the target is 0 in all 13 training rows"):
        parse_split("element:O").hold_out(matrix_of(COMPOUNDS, y), 0)


def test_one_composition_is_too_few_to_test() -> None:
    with pytest.raises(TrainingError, match="15 to train on and 1 to test on"):
        held_out_by("element:Zn", COMPOUNDS)


def test_rows_that_can_be_split_in_no_way_have_no_folds() -> None:
    rows = matrix_of([*(f"{metal}O" for metal in "Li Na K Mg Ca Sr Ba Ti Fe".split()), "O"])
    with pytest.raises(TrainingError, match="too few compositions"):
        list(parse_split("element").folds(rows, 0))


def test_rows_without_any_element_of_a_family_are_an_error_with_a_reason() -> None:
    with pytest.raises(TrainingError, match="no family is known for 10 rows"):
        held_out_by("group:halogens", "B C Si B4C SiC SiB3 SiB6 BC3 Si5C B13C2".split())
