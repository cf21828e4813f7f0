"""Charge neutrality: exact for real compounds, and bounded in time for any."""

import itertools
import time

import numpy as np
import pytest

from matlake.encoders.card import read_card
from matlake.encoders.reference import reference_compositions
from matlake.encoders.registry import SHIPPED
from matlake.errors import EncoderError
from matlake.materials.charge_sums import FEW, neutral_by_sums
from matlake.materials.compositions import element_fractions
from matlake.materials.formula import Composition, parse_formula
from matlake.materials.oxidation_states import OxidationStates
from matlake.materials.periodic_table import ELEMNET_ELEMENTS, SYMBOLS

LISTED = read_card(SHIPPED / "magpie").input_parameters.oxidation_states
STATES = OxidationStates.from_card(LISTED, ELEMNET_ELEMENTS)
SEVERAL = np.array([len(LISTED[symbol]) > 1 for symbol in ELEMNET_ELEMENTS])


def possible(*formulas: str) -> list[bool]:
    return STATES.can_be_neutral(element_fractions([parse_formula(formula) for formula in formulas])).tolist()


def by_enumeration(composition: Composition) -> bool:
    """Try all combinations in whole numbers."""
    symbols = [SYMBOLS[z - 1] for z, _ in composition.amounts]
    amounts = [amount for _, amount in composition.amounts]
    charges = itertools.product(*(LISTED[symbol] for symbol in symbols))
    return len(symbols) == 1 or any(sum(q * n for q, n in zip(some, amounts, strict=True)) == 0 for some in charges)


def fractions_of(amounts: np.ndarray) -> np.ndarray:
    return (amounts / amounts.sum()).astype(np.float32)[None]


def test_known_compounds_are_told_from_alloys_and_mixed_valences() -> None:
    assert possible("NaCl", "Fe2O3", "FeO", "CaTiO3", "NaAlSi3O8") == [True] * 5
    assert possible("Fe3O4", "NiTi", "NaCl2") == [False] * 3  # Fe3O4 needs two states of iron


def test_an_element_by_itself_is_neutral() -> None:
    assert possible("Na", "C") == [True, True]


def test_real_compositions_are_decided_as_by_whole_numbers() -> None:
    compositions = reference_compositions()
    expected = [by_enumeration(composition) for composition in compositions]
    assert STATES.can_be_neutral(element_fractions(compositions)).tolist() == expected
    assert 0.2 < np.mean(expected) < 0.8


def test_random_compounds_of_many_states_are_decided_as_by_whole_numbers() -> None:
    random = np.random.default_rng(0)
    rich = ["C", "Cl", "S", "N", "Mn", "Fe", "O", "H", "Na"]
    compositions = []
    for _ in range(400):
        chosen = random.choice(rich, size=random.integers(3, 8), replace=False)
        compositions.append(parse_formula("".join(f"{symbol}{random.integers(1, 400)}" for symbol in chosen)))
    expected = [by_enumeration(composition) for composition in compositions]
    assert STATES.can_be_neutral(element_fractions(compositions)).tolist() == expected
    assert len(set(expected)) == 2


def test_few_compositions_are_decided_as_by_the_compiled_kernel() -> None:
    from matlake.materials.neutrality import neutral_rows

    random = np.random.default_rng(1)
    fractions = np.zeros((FEW, len(ELEMNET_ELEMENTS)), dtype=np.float32)
    for row in fractions:
        chosen = random.choice(len(row), size=random.integers(1, 6), replace=False)
        row[chosen] = random.integers(1, 8, size=len(chosen))
    fractions /= fractions.sum(axis=1, keepdims=True)
    few = neutral_by_sums(fractions, STATES.charges, STATES.offsets)
    compiled = np.zeros(FEW, dtype=np.bool_)
    neutral_rows(fractions, STATES.charges, STATES.offsets, compiled)
    assert few is not None
    assert few.tolist() == compiled.tolist()
    assert len(set(few.tolist())) == 2
    assert neutral_by_sums(np.full((1, 86), 1 / 86, np.float32), STATES.charges, STATES.offsets) is None


def test_a_charge_just_above_rounding_is_one() -> None:
    assert possible("Na100000Cl100000", "Na100001Cl100000") == [True, False]


def test_all_elements_at_once_take_no_time() -> None:
    """Of 2^46 combinations: amounts without pattern, equal ones, and whole numbers with an odd charge."""
    random = np.random.default_rng(0)
    oxygen, sodium = ELEMNET_ELEMENTS.index("O"), ELEMNET_ELEMENTS.index("Na")
    irregular = random.random(86)
    irregular[oxygen] += 50.0
    equal = np.ones(86)
    odd = np.where(SEVERAL, 2.0 * random.integers(1, 20_000, 86), 0.0)  # any charges of these add up to an even number
    odd[oxygen], odd[sodium] = odd.sum(), 1.0
    STATES.can_be_neutral(np.eye(86, dtype=np.float32))  # compiles
    for amounts, expected in ((irregular, True), (equal, False), (odd, False)):
        started = time.process_time()
        assert STATES.can_be_neutral(fractions_of(amounts)).tolist() == [expected]
        assert time.process_time() - started < 2.0


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ({"Na": [1]}, "not lists for all elements"),
        ({"Na": [1], "Cl": 1}, "not lists for all elements"),
        ({"Na": [1], "Cl": []}, "of Cl are not whole numbers"),
        ({"Na": [1], "Cl": ["-1"]}, "of Cl are not whole numbers"),
        ({"Na": [0.5], "Cl": [-1]}, "of Na are not whole numbers"),
    ],
)
def test_a_card_without_proper_states_is_refused(states, message) -> None:
    with pytest.raises(EncoderError, match=message):
        OxidationStates.from_card(states, ["Na", "Cl"])
