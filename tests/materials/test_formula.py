"""Formulas: what is read, what is refused, and agreement with pymatgen."""

import contextlib
import math
import re
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from pymatgen.core import Composition as Referee
from pymatgen.core import Element

from matlake.encoders.rejections import rejections
from matlake.errors import FormulaError
from matlake.materials.compositions import CompositionColumns, check_elements, element_fractions
from matlake.materials.formula import parse_formula
from matlake.materials.periodic_table import ELEMNET_ELEMENTS, SYMBOLS


def referee_fractions(formula: str) -> np.ndarray:
    composition = Referee(formula)
    return np.array([composition.get_atomic_fraction(symbol) for symbol in ELEMNET_ELEMENTS])


def columns_of(formulas: list[str]) -> CompositionColumns:
    compositions = [parse_formula(formula) for formula in formulas]
    numbers = [[z for z, _ in c.amounts] for c in compositions]
    fractions = [[n / sum(a for _, a in c.amounts) for _, n in c.amounts] for c in compositions]
    table = pa.table({"atomic_numbers": pa.array(numbers, pa.list_(pa.int16())), "fractions": fractions})
    return CompositionColumns.from_arrow(table)


def test_elements_are_the_86_of_elemnet_in_order_of_atomic_number() -> None:
    assert len(ELEMNET_ELEMENTS) == 86
    assert set(SYMBOLS[:94]) - set(ELEMNET_ELEMENTS) == {"He", "Ne", "Ar", "Po", "At", "Rn", "Fr", "Ra"}
    assert list(ELEMNET_ELEMENTS) == sorted(ELEMNET_ELEMENTS, key=SYMBOLS.index)


@pytest.mark.parametrize(
    ("formula", "canonical"),
    [
        ("TiO2", "O2Ti1"),
        ("Ti2O4", "O2Ti1"),
        ("O2Ti", "O2Ti1"),
        ("Ti0.5O", "O2Ti1"),
        ("Ga0.3In0.7As", "Ga3As10In7"),
        ("Ga.5In.5As", "Ga1As2In1"),
        ("Ca(OH)2", "H2O2Ca1"),
        ("K4[Fe(CN)6]", "C6N6K4Fe1"),
        ("Al2{SO4}3", "O12Al2S3"),
        ("CuSO4·5H2O", "H10O9S1Cu1"),
        ("CuSO4*5H2O", "H10O9S1Cu1"),
        ("K4[Fe(CN)6]·3H2O", "H6C6N6O3K4Fe1"),
        ("CaSO4·0.5H2O", "H2O9S2Ca2"),
        ("(TiO2)0.1(ZrO2)0.2", "O6Ti1Zr2"),
        ("Fe₂O₃", "O3Fe2"),
        (" Na Cl ", "Na1Cl1"),
        ("D2O", "H2O1"),
    ],
)
def test_formula_is_read_exactly(formula: str, canonical: str) -> None:
    assert parse_formula(formula).canonical == canonical


@pytest.mark.parametrize(
    ("formula", "reason"),
    [
        ("", "empty"),
        ("   ", "empty"),
        (None, "empty"),
        (math.nan, "empty"),
        (12, "should be text, not int"),
        ("Na+", "charge"),
        ("SO4--", "charge"),
        ("Na-1Cl", "charge"),
        ("Xx2O", "unknown element 'Xx'"),
        ("Zz(OH)2", "Zz"),
        ("H0", "zero"),
        ("H0H2O", "zero"),
        ("Na(Cl0)1", "zero|cannot read"),
        ("(Na", "cannot read"),
        ("Na)", "cannot read"),
        ("()2", "cannot read"),
        ("2", "cannot read"),
        ("NaCl·", "cannot read"),
        ("H2.3.4", "cannot read|out of place"),
        ("Na;DROP TABLE", "cannot read|unknown"),
        ("(" * 5_000_000, "longer than"),
    ],
)
def test_what_is_no_formula_is_a_named_error(formula: object, reason: str) -> None:
    with pytest.raises(FormulaError, match=reason):
        parse_formula(formula)


@pytest.mark.parametrize("symbol", ["He", "Ne", "Ar", "Po", "At", "Rn", "Fr", "Ra", "Am", "Og"])
def test_element_outside_the_86_is_an_error_and_never_a_zero_vector(symbol: str) -> None:
    composition = parse_formula(f"{symbol}O2")
    with pytest.raises(FormulaError, match=symbol):
        element_fractions([composition])
    with pytest.raises(FormulaError, match=symbol):
        check_elements(composition)
    reasons = rejections(columns_of(["TiO2", f"{symbol}O2"]), ELEMNET_ELEMENTS)
    assert [reason and symbol in reason for reason in reasons] == [None, True]


def test_equal_compositions_share_their_content_hash() -> None:
    hashes = {parse_formula(f).content_hash for f in ["TiO2", "Ti2O4", "O2Ti", "Ti0.5O", "(TiO2)0.25"]}
    assert len(hashes) == 1
    assert parse_formula("Ti2O3").content_hash not in hashes


def test_fractions_agree_with_pymatgen_on_each_tenth_formula_of_oqmd(oqmd: Path) -> None:
    every = pq.read_table(oqmd, columns=["formula"])["formula"].to_pylist()
    formulas = [formula for row, formula in enumerate(every) if row % 10 == 0 or "Kr" in formula]
    ours = element_fractions([parse_formula(formula) for formula in formulas])
    assert (ours > 0).any(axis=0).all()  # every element; krypton is rare
    theirs = np.zeros(ours.shape)
    for row, formula in enumerate(formulas):
        amounts = Referee(formula).get_el_amt_dict()
        total = sum(amounts.values())
        for symbol, amount in amounts.items():
            theirs[row, ELEMNET_ELEMENTS.index(symbol)] = amount / total
    np.testing.assert_allclose(ours, theirs, atol=1e-7)


def test_fractions_agree_with_pymatgen_on_measured_band_gaps(band_gaps: Path) -> None:
    for formula in pq.read_table(band_gaps)["formula"].to_pylist():
        np.testing.assert_allclose(
            element_fractions([parse_formula(formula)])[0], referee_fractions(formula), atol=1e-7, err_msg=formula
        )


amounts = st.one_of(
    st.just(""),
    st.integers(1, 300).map(str),
    st.decimals("0.01", "99", places=2).filter(bool).map(str),
)
atoms = st.tuples(st.sampled_from(ELEMNET_ELEMENTS), amounts).map("".join)


def bracketed(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    group = st.tuples(st.just("("), inner, st.just(")"), amounts).map("".join)
    return st.lists(st.one_of(atoms, group), min_size=1, max_size=3).map("".join)


def has_one_reading(formula: str) -> bool:
    return refusal(formula) is None


def refusal(formula: str) -> FormulaError | None:
    try:
        parse_formula(formula)
    except FormulaError as refused:
        return refused
    return None


groups = bracketed(bracketed(st.lists(atoms, min_size=1, max_size=3).map("".join))).filter(has_one_reading)


@given(groups)
def test_fractions_agree_with_pymatgen_on_random_formulas(formula: str) -> None:
    np.testing.assert_allclose(
        element_fractions([parse_formula(formula)])[0], referee_fractions(formula), atol=2e-6, err_msg=formula
    )


pieces = st.sampled_from("H He O Na Uue Q Co C S N ( ) [ ] { } 2 0 .5 1. e3 e".split())


@settings(max_examples=1000, derandomize=True)
@given(st.lists(pieces, min_size=1, max_size=9).map("".join))
@example("Ca(OH]2")
@example("(H)1e3O")
@example("(H)1e999O")
@example("H(0)")
@example("(())2")
@example("H(O)2.5.3")
@example("H0H.5")
@example("SNO2")
@example("COS2.5")
def test_what_is_accepted_is_read_as_pymatgen_reads_it(text: str) -> None:
    amounts = amounts_by_pymatgen(text)
    if refused := refusal(text):  # docs/reference/import.md, section "Formulas"
        assert amounts is None or refused.hint
        return
    ours = dict(parse_formula(text).amounts)
    if amounts is None or "." in text:  # a dot before a letter separates, which pymatgen does not know
        return
    total, whole = sum(amounts.values()), sum(ours.values())
    assert {z: n / whole for z, n in ours.items()} == pytest.approx({z: n / total for z, n in amounts.items()})


def amounts_by_pymatgen(text: str) -> dict[int, float] | None:
    """Return what pymatgen makes of a formula; None where it refuses, drops or cannot add up an amount."""
    if any(float(number) == 0 for number in re.findall(r"\d+\.?\d*|\.\d+", text)):
        return None  # pymatgen leaves the element out
    factor = re.match(r"\d+\.?\d*|\.\d+", text)  # pymatgen knows no leading factor
    try:
        read = Referee(text[factor.end() if factor else 0 :]).get_el_amt_dict()
        return {Element(symbol).Z: amount for symbol, amount in read.items()} if sum(read.values()) < 1e300 else None
    except (ValueError, KeyError):
        return None


def test_amounts_are_exact_however_deep_the_brackets() -> None:
    assert parse_formula("(((H0.1)0.1)0.1)0.1(((O0.3)0.3)0.3)0.3").canonical == "H1O81"
    assert parse_formula("(" * 300 + "HO2" + ")1" * 300).canonical == "H1O2"
    assert parse_formula("(H)0.123456789012345678(O)1").canonical == "H61728394506172839O500000000000000000"


@pytest.mark.parametrize(
    "text",
    [
        "(H)1e999999999O",
        "CO1.23SN2.34PBI3.45NIP4.567CUF5.67Cl6.78Br7.89Fe1.01Mn1.02Cr1.03V1.04W1.05Mo1.06Ti1.07",
        "(" + "H.5" * 300 + ")",
        "HO2.5" * 190,
        "COSNCSPBI" * 100,
        "CO.5" * 240,
        "(" * 1000,
        "(" * 499 + "H" + ")" * 499,
        "(H" * 300 + ")9e99" * 100,
        "((H)1e299)1e299O",
    ],
)
def test_a_hostile_formula_is_settled_at_once(text: str) -> None:
    start = time.process_time()
    with contextlib.suppress(FormulaError):
        parse_formula(text)
    assert time.process_time() - start < 2.0, "a reading of each way to split it would take minutes"


@settings(deadline=None)
@given(st.lists(groups, min_size=1, max_size=5))
def test_columns_of_a_dataset_give_the_same_fractions(formulas: list[str]) -> None:
    matrix = columns_of(formulas).matrix(ELEMNET_ELEMENTS)
    np.testing.assert_array_equal(
        matrix, CompositionColumns.of([parse_formula(f) for f in formulas]).matrix(ELEMNET_ELEMENTS)
    )
    np.testing.assert_array_equal(matrix, element_fractions([parse_formula(f) for f in formulas]))
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-5)


@given(groups, st.integers(2, 9))
def test_multiples_of_a_formula_are_one_content(formula: str, factor: int) -> None:
    assume(has_one_reading(f"({formula}){factor}"))
    assert parse_formula(f"({formula}){factor}") == parse_formula(formula)


@pytest.mark.filterwarnings("ignore:No Pauling electronegativity")
@given(groups)
def test_formulas_are_written_in_the_order_of_pymatgen(formula: str) -> None:
    composition = parse_formula(formula)
    assume(max(amount for _, amount in composition.amounts) <= 1_000_000)  # larger ones cannot be read again
    written = Referee(composition.canonical).formula.split()
    short = "".join(re.sub(r"(?<=[A-Za-z])1$", "", part) for part in written)
    assert composition.reduced_formula == (short if has_one_reading(short) else "".join(written))


@given(st.text(max_size=30))
def test_any_text_is_a_composition_or_a_formula_error(text: str) -> None:
    with contextlib.suppress(FormulaError):
        assert parse_formula(text).amounts


@pytest.mark.parametrize(("amounts", "short"), [("B1C1I1", "B1C1I1"), ("C1I1O2", "CIO2")])
def test_carbon_beside_iodine_has_a_short_formula(amounts: str, short: str) -> None:
    assert parse_formula(amounts).reduced_formula == short
