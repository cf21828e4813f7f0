"""The rule before trusting a prediction, on made-up counts and on real band gaps."""

import numpy as np
import pyarrow.parquet as pq
import pytest
from matrices import matrix_of

import matlake
from matlake.materials.formula import parse_formula
from matlake.materials.periodic_table import block_of
from matlake.regress.heads.storage import load_head
from matlake.regress.heads.train_result import TrainResult
from matlake.regress.prediction.predict import predict
from matlake.regress.uncertainty.applicability import (
    FEW,
    UNKNOWN,
    agreement_limit,
    block_rows,
    blocks_of,
    disagreement,
    element_rows,
    elements_outside_training,
    low_confidence_reasons,
)
from matlake.text_tables import plain_lines


def test_blocks_are_those_of_the_periodic_table() -> None:
    blocks = {"s": (1, 2, 3, 12, 88), "p": (5, 8, 10, 33, 86), "d": (21, 26, 30, 39, 80), "f": (57, 64, 71, 92)}
    assert {z: block_of(z) for zs in blocks.values() for z in zs} == {z: b for b, zs in blocks.items() for z in zs}


def test_rows_are_counted_by_element_and_by_their_blocks() -> None:
    fractions = matrix_of(["NaCl", "MgO", "Fe2O3", "Fe", "CeFeO3"]).fractions
    assert element_rows(fractions) == {"O": 3, "Na": 1, "Mg": 1, "Cl": 1, "Fe": 3, "Ce": 1}
    assert block_rows(fractions) == {"sp": 2, "pd": 1, "d": 1, "pdf": 1}
    assert blocks_of(["Ce", "Fe", "O"]) == "pdf"


def test_an_element_that_hardly_any_training_row_holds_is_named() -> None:
    assert elements_outside_training(["O", "Pu", "Ti"], {"O": 900, "Ti": FEW, "Pu": FEW - 1}) == ("Pu",)


@pytest.mark.parametrize(
    ("symbols", "score", "expected"),
    [
        (["O", "Ti"], 1.0, ()),
        (["O", "Ti"], 1.01, ("the out-of-distribution score is above 1",)),
        (
            ["O", "Pu"],
            0.5,
            (
                "only 3 training materials contain Pu",
                "no training material contains elements of the blocks p, f together",
            ),
        ),
        (["Ti"], 0.5, ("only one training material contains only d elements",)),
    ],
)
def test_reasons_are_given_in_words(symbols: list[str], score: float, expected: tuple[str, ...]) -> None:
    assert low_confidence_reasons(symbols, score, {"O": 900, "Ti": FEW, "Pu": 3}, {"pd": 40, "d": 1}) == expected


@pytest.mark.parametrize(
    ("value", "low", "high", "expected"),
    [
        (1.0, 0.0, 2.0, ()),
        (4.0, 0.0, 8.9, ("the nearest training materials differ: 0 to 8.9 eV",)),
        (3.1, 0.0, 2.0, ("the value is far from those of the nearest training materials: 0 to 2 eV",)),
        (2.57, 0.0, 0.0, ("the value is far from those of the nearest training materials: 0 eV",)),
        (0.9, 2.0, 3.0, ("the value is far from those of the nearest training materials: 2 to 3 eV",)),
        (1.1, 2.0, 3.0, ()),
    ],
)
def test_neighbours_that_disagree_are_a_reason(value: float, low: float, high: float, expected: tuple[str]) -> None:
    assert disagreement(value, low, high, 2.0, "eV") == expected


def test_neighbours_may_differ_by_what_all_values_and_errors_do() -> None:
    labels, residuals = np.array([0.0, 2.0]), np.array([0.1, np.nan, 0.3], dtype=np.float32)
    assert agreement_limit(labels, residuals) == 1.5
    assert agreement_limit(labels, 10.0 * residuals) == pytest.approx(8.0)


def test_errors_are_larger_where_they_are_expected_to_be(embedded: matlake.Lake, trained: TrainResult) -> None:
    """Measured band gaps, metals and insulators mixed."""
    held = trained.test
    found = predict(embedded, "gap", held.formula.tolist()).predictions
    warned = np.array([any("expected error" in why for why in one.warnings) for one in found])
    assert 0.1 < warned.mean() < 0.6
    assert held.errors[warned].mean() > 1.2 * held.errors[~warned].mean()


def test_a_card_without_blocks_leaves_that_part_out() -> None:
    assert low_confidence_reasons(["Ti"], 0.5, {"Ti": FEW}, {}) == ()


@pytest.mark.usefixtures("trained")
def test_a_warning_stands_where_the_expected_error_is_large_or_the_material_is_unknown(embedded: matlake.Lake) -> None:
    rows = pq.read_table(embedded.heads_folder / "gap" / "reference.parquet")
    answer = predict(embedded, "gap", [*rows["formula"].to_pylist()[:100], "PuN", "CsAu", "XeF2"])
    card = load_head(embedded, "gap").card
    domain, errors = card.domain, card.errors
    assert domain is not None
    assert errors is not None
    assert domain.block_rows
    for one in answer.predictions:
        assert one.expected_error is not None
        assert one.ood_score is not None
        large = one.expected_error > errors.limit
        assert any("the expected error of" in why for why in one.warnings) == large
        if not large:
            symbols = parse_formula(one.input).elements
            outside = low_confidence_reasons(symbols, one.ood_score, domain.element_rows, domain.block_rows, UNKNOWN)
            assert one.warnings == outside
    warned = np.array([bool(one.warnings) for one in answer.predictions])
    assert 0.05 < warned[:100].mean() < 0.45
    assert warned[100]  # plutonium
    assert any("doubtful: " in line for line in plain_lines(answer.lines()))
