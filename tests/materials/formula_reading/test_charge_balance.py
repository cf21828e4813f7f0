"""Charge balance with common oxidation states."""

import pytest

from matlake.materials.formula_reading.charge_balance import is_balanced
from matlake.materials.formula_reading.grammar import amounts_of


@pytest.mark.parametrize(
    ("formula", "plain", "mixed"),
    [
        ("NaCl", True, True),
        ("CuSO4", True, True),
        ("K4[Fe(CN)6]", True, True),
        ("LiMn1.5Ni0.5O4", True, True),
        ("Pb3O4", False, True),
        ("Fe3O4", False, True),
        ("NaCl2", False, False),
        ("Fe", False, False),
        ("MgB2", False, False),
        ("XeOg", False, False),
    ],
)
def test_compounds_are_told_from_what_is_none(formula: str, plain: bool, mixed: bool) -> None:
    amounts = amounts_of(formula, formula)
    assert is_balanced(amounts) is plain
    assert is_balanced(amounts, mixed_valence=True) is mixed
