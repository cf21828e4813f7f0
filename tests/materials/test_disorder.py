"""Compositions of sites that several elements share."""

from fractions import Fraction

import pytest

from matlake.errors import StructureError
from matlake.materials.disorder import disorder_of, exact_occupancy, is_ordered
from matlake.materials.formula import parse_formula


@pytest.mark.parametrize(
    ("share", "exact"),
    [
        (1.0, Fraction(1)),
        (0.9995, Fraction(1)),
        (0.333, Fraction(1, 3)),
        (0.6667, Fraction(2, 3)),
        (0.16667, Fraction(1, 6)),
        (0.34, Fraction(17, 50)),
        (0.142857, Fraction(1, 7)),
        (0.983, Fraction(983, 1000)),
        (0.3141597, Fraction(31416, 100000)),
    ],
)
def test_an_occupancy_is_the_number_that_it_rounds(share: float, exact: Fraction) -> None:
    assert exact_occupancy(share) == exact


def test_sites_add_up_to_a_composition_without_vacancies() -> None:
    perovskite = [{57: 0.7, 38: 0.3}, {25: 1.0}, {8: 0.983}]
    found = disorder_of(perovskite, [1, 1, 3])
    assert found.composition == parse_formula("La0.7Sr0.3MnO2.949")
    assert str(found) == "disordered: a site holds La 0.7, Sr 0.3"
    assert parse_formula(found.composition.reduced_formula) == found.composition


def test_amounts_stay_within_what_a_formula_can_say() -> None:
    found = disorder_of([{57: 0.314161}, {38: 0.271829}, {8: 0.577217}], [997, 991, 983])
    assert max(amount for _, amount in found.composition.amounts) == 1_000_000
    assert parse_formula(found.composition.reduced_formula) == found.composition


@pytest.mark.parametrize(
    ("sites", "reason"),
    [
        ([{11: 0.7, 19: 0.7}], "a site holds Na 0.7, K 0.7: more than one atom"),
        ([{11: -0.1}], "an occupancy lies between 0 and 1"),
        ([{11: float("nan")}], "an occupancy lies between 0 and 1"),
        ([{}], "no atoms: all sites are vacant"),
    ],
)
def test_impossible_sites_are_refused(sites: list[dict[int, float]], reason: str) -> None:
    with pytest.raises(StructureError, match=reason):
        disorder_of(sites)


def test_a_site_is_ordered_if_it_holds_one_element_fully() -> None:
    assert is_ordered({11: 0.9999})
    assert not is_ordered({11: 0.99})
    assert not is_ordered({11: 0.5, 19: 0.5})
    assert not is_ordered({})
