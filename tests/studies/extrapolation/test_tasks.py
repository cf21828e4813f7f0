"""What counts as continuous extrapolation."""

import numpy as np
from matrices import matrix_of

from matlake.studies.extrapolation.tasks import continuity


def _fractions(*formulas: str) -> np.ndarray:
    return matrix_of(formulas).fractions


def test_a_row_counts_by_its_rarest_element() -> None:
    training = _fractions(*["Fe2O3"] * 12, *["TiO2"] * 9, "NiO")
    found = continuity(training, _fractions("FeO", "TiFeO3", "NiTiO3", "CoO"), few=10)
    assert found.rarest.tolist() == [12, 9, 1, 0]
    assert found.element.tolist() == ["Fe", "Ti", "Ni", "Co"]
    assert found.motif_rows.tolist() == [22] * 4
    assert found.discontinuous.tolist() == [False, True, True, True]


def test_an_element_in_just_enough_rows_is_seen_and_in_one_fewer_is_not() -> None:
    for rows, discontinuous in ((10, False), (9, True)):
        training = _fractions(*["MgO"] * rows, *["CaO"] * 20)
        assert continuity(training, _fractions("Mg2O2"), few=10).discontinuous.tolist() == [discontinuous]
    assert continuity(_fractions(*["MgO"] * 3), _fractions("MgO"), few=3).discontinuous.tolist() == [False]


def test_known_elements_in_an_unknown_motif_are_discontinuous() -> None:
    training = _fractions(*["NaCl"] * 10, *["Fe2Ni"] * 10)
    found = continuity(training, _fractions("FeCl2", "FeNi", "NaCl"))
    assert found.rarest.tolist() == [10, 10, 10]
    assert found.motif_rows.tolist() == [0, 10, 10]
    assert found.discontinuous.tolist() == [True, False, False]
