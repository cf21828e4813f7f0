"""The table of formulas in docs/reference/import.md, and what the databases hold."""

import math
from collections.abc import Callable
from pathlib import Path

import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from pymatgen.core import Composition as Referee
from pymatgen.core import Element

from matlake.errors import FormulaError
from matlake.materials.formula import Composition, parse_formula, readings

READ = {
    # hydrates and other compounds of several parts, with a dot of any kind
    "CuSO4.5H2O": "CuSO9H10",
    "CuSO4·5H2O": "CuSO9H10",
    "CuSO4•5H2O": "CuSO9H10",
    "CuSO4∙5H2O": "CuSO9H10",
    "CuSO4⋅5H2O": "CuSO9H10",
    "CuSO4*5H2O": "CuSO9H10",
    "CuSO4 . 5H2O": "CuSO9H10",
    "CuSO4.(H2O)5": "CuSO9H10",
    "CuSO4.5(H2O)": "CuSO9H10",
    "MgSO4.7H2O": "MgSO11H14",
    "CaSO4.2H2O": "CaSO6H4",
    "CaSO4.H2O": "CaSO5H2",
    "CaSO4.0.5H2O": "Ca2S2O9H2",
    "Na2CO3.10H2O": "Na2CO13H20",
    "CoCl2.6H2O": "CoCl2O6H12",
    "FeCl3.6H2O": "FeCl3O6H12",
    "LiOH.2H2O": "LiO3H5",
    "VOSO4.5H2O": "VSO10H10",
    "Al2(SO4)3.18H2O": "Al2S3O30H36",
    "K4[Fe(CN)6].3H2O": "K4FeC6N6O3H6",
    "(NH4)2Fe(SO4)2.6H2O": "FeN2S2O14H20",
    "Zn(C2H3O2)2.2H2O": "ZnC4H10O6",
    "NiCl2.6NH3": "NiCl2N6H18",
    "2MgO.SiO2": "Mg2SiO4",
    "SrO.6Fe2O3": "SrFe12O19",
    "3Al2O3.2SiO2": "Al6Si2O13",
    "Al2O3.2SiO2.2H2O": "Al2Si2O9H4",
    "3CaO.Al2O3.6H2O": "Ca3Al2O12H12",
    "0.5Li2MnO3·0.5LiMnO2": "Li3Mn2O5",
    "CuSO4 · 5 H2O": "CuSO9H10",
    "CuSO4 × 5H2O": "CuSO9H10",
    "Cu(NO3)2.2.5H2O": "Cu2N4O17H10",
    "MgSO4.K2SO4.6H2O": "MgK2S2O14H12",
    # decimals
    "Li0.5CoO2": "LiCo2O4",
    "Ga.5In.5As": "GaInAs2",
    "Fe2.5Ti0.5O4": "Fe5TiO8",
    "LaMnO3.5": "La2Mn2O7",
    "Sr3Fe2O5.5Cl2": "Sr6Fe4O11Cl4",
    "LiMn1.5Ni0.5O4": "Li2Mn3NiO8",
    # a zero that is one
    "Fe91Ni109": "Fe91Ni109",
    # subscripts
    "TiO₂": "TiO2",
    "TiO$_2$": "TiO2",
    "TiO$_{2}$": "TiO2",
    "TiO_2": "TiO2",
    "$\\mathrm{TiO_2}$": "TiO2",
    "\\ce{TiO2}": "TiO2",
    "TiO<sub>2</sub>": "TiO2",
    "\\mathrm{TiO}_2": "TiO2",
    "${\\rm TiO}_2$": "TiO2",
    "TiO\\textsubscript{2}": "TiO2",
    "\\(TiO_2\\)": "TiO2",
    "(Mg$_{0.9}$Fe$_{0.1}$)$_2$SiO$_4$": "Mg9FeSi5O20",
    "$Fe_2O_3$": "Fe2O3",
    "Ga_{0.3}In_{0.7}As": "Ga3In7As10",
    "Li₀.₅CoO₂": "LiCo2O4",
    "CuSO₄.5H₂O": "CuSO9H10",
    "CuSO$_4\\cdot$5H$_2$O": "CuSO9H10",
    "CuSO<sub>4</sub>·5H<sub>2</sub>O": "CuSO9H10",
    # blanks between elements
    "Ba Ti O3": "BaTiO3",
    "Ti1 O2": "TiO2",
    "K4 Fe (C N)6 (H2 O)3": "K4FeC6N6H6O3",
    "S N O2": "SNO2",
    # capitals that are formulas
    "CO": "CO",
    "CO2": "CO2",
    "HF": "HF",
    "NO": "NO",
    "BN": "BN",
    "KCN": "KCN",
    "KOH": "KOH",
    "HOF": "HOF",
    "YB2": "YB2",
    "YBO3": "YBO3",
    "K2CO3": "K2CO3",
    "VOSO4": "VSO5",
    "COCl2": "COCl2",
    "NaN": "NaN",
    "N": "N",
    "Y": "Y",
    "CsVI3": "CsVI3",
    "PI3": "PI3",
    "POF3": "POF3",
    "C2S3": "C2S3",
    "Zn(CH3COO)2": "ZnC4H6O4",
    # elements, isotopes, a number in front
    "C60": "C",
    "S8": "S",
    "D2O": "H2O",
    "LiD": "LiH",
    "2H2O": "H2O",
}

REFUSED = {
    "a dot with two readings": [
        "VO2.5H2O",
        "WO3.1H2O",
        "Na0.3CoO2.5H2O",
        "LiCl.2CH3OH",
        "CaSO4.2H20",
        "V2.3.4O5",
        "C60.2CS2",
    ],
    "a variable amount": ["CuSO4.xH2O", "CuSO4·nH2O", "YBa2Cu3Ox", "NaxCoO2", "TiO2-x", "La1-xSrxMnO3"],
    "an oxidation state": ["Fe(III)2O3", "Cu(I)Cl", "Cu(II)O", "Mn(IV)O2", "Pb(I)2", "W(VI)O3", "FeIII2O3", "MoVIO3"],
    "a short name": [
        "YBCO",
        "ITO",
        "BSCF",
        "PVDF",
        "LSMO",
        "NMC811",
        "KNN",
        "BFO",
        "UNKNOWN",
        "IN718",
        "SS316",
        "YBCO7",
        "C3S",
    ],
    "a phase or alloy": ["Bi2223", "Ti64", "Y123", "Al6061", "P91", "Ti6Al4V", "AlSi10Mg", "6061Al", "4HSiC"],
    "a zero for O": [
        "H20",
        "Ti02",
        "Fe203",
        "Al203",
        "LiCo02",
        "MgAl204",
        "LiMn204",
        "Ca(0H)2",
        "CuSO4·5H20",
        "YBa2Cu307",
        "Cu0",
    ],
    "capitals": [
        "NACL",
        "TIO2",
        "SNO2",
        "LICOO2",
        "PBO",
        "INP",
        "CUO",
        "NIO",
        "SIO2",
        "CO3O4",
        "CO(OH)2",
        "SN",
        "COF2",
    ],
    "capitals of an intermetallic": ["NB3SN", "HFB2", "COSI2", "NI3P", "YBB6"],
    "a capital too many": ["LiCOO2", "BaSNO3", "LiNIO2", "NaCI", "MgCI2"],
    "small letters": ["nacl", "tio2", "none"],
    "tritium or a transition metal": ["T", "T2O", "LiTO2"],
    "a charge": ["Na+", "Fe2O3(2+)", "[MnO4]-", "SO4^2-", "Fe³⁺", "SO₄²⁻"],
    "a mixture, dopant or fraction": [
        "Si:P",
        "TiO2:Nb",
        "Fe2O3/TiO2",
        "Li1/2CoO2",
        "TiO2 SiO2",
        "Cu S O4, 5H2O",
        "LiFePO4.C",
    ],
    "an amount out of range": ["Ti1e5", "Ti1e308O2", "(H)1e3O", "Ti9999999999O2", "Ti0.0000000000001O2"],
    "a character of another script": ["\u0421O2", "O\u041d", "TiO\uff12", "\uff34iO2", "TiO\u00ad2", "\u200bTiO2"],
    "words": ["TiO2_anatase", "TiO2 (rutile)", "α-Al2O3", "SiO2-quartz", "NaCl(s)", "NaCl(aq)", '"TiO2"'],
    "blanks": ["C a O", "Fe 2 O 3", "TiO 2", "CuSO4 5H2O", "NaCl MgO"],
    "subscripts that meet": ["CuSO₄5H₂O", "TiO_2_5", "TiO2$_2$", "TiO<sub>2-x</sub>", "TiO$_x$"],
    "a group": ["Zn(OAc)2", "Ti(OPr)4", "AcOH", "EtOH", "MAPbI3"],
}


def by_pymatgen(formula: str) -> Composition:
    """Return pymatgen's reading of a formula with whole-number amounts."""
    amounts = {Element(symbol).Z: int(amount) for symbol, amount in Referee(formula).get_el_amt_dict().items()}
    divisor = math.gcd(*amounts.values())
    return Composition(tuple(sorted((z, amount // divisor) for z, amount in amounts.items())))


@pytest.mark.parametrize(("text", "right"), READ.items())
def test_what_has_one_reading_is_read(text: str, right: str) -> None:
    assert parse_formula(text) == by_pymatgen(right)


@pytest.mark.parametrize("text", [text for texts in REFUSED.values() for text in texts])
def test_what_has_two_readings_is_refused(text: str) -> None:
    with pytest.raises(FormulaError) as caught:
        parse_formula(text)
    assert repr(text) in str(caught.value)
    assert caught.value.hint or "out of range" in str(caught.value) or "unknown element" in str(caught.value)


def test_a_character_of_another_script_is_named() -> None:
    with pytest.raises(FormulaError, match=r"U\+0421, CYRILLIC CAPITAL LETTER ES"):
        parse_formula("\u0421O2")
    with pytest.raises(FormulaError, match=r"U\+200B, ZERO WIDTH SPACE"):
        parse_formula("\u200bTiO2")


def test_a_short_name_says_what_it_stands_for() -> None:
    with pytest.raises(FormulaError, match="'YBCO' is the short name of a material") as caught:
        parse_formula("YBCO")
    assert caught.value.hint == "write the formula, such as YBa2Cu3O7"


def test_the_shared_examples_are_right(development_data: Callable[[str], Path]) -> None:
    for row in pacsv.read_csv(development_data("../cases/reading/formulas.csv")).to_pylist():
        try:
            found = parse_formula(row["formula"])
        except FormulaError:
            assert "refused" in row["right"], row
        else:
            assert found == parse_formula(row["right"].split()[0]), row


DIFFERENCES = {
    "jarvis_targets": {"CS2NF5", "CSNF5", "IN", "PS", "SN"},
    "mp_structures": {"B28", "B48", "Ge34", "O24", "P42", "Rb26", "S28", "S48", "Si34", "Ta30"},
    "perov_5": {
        *("BVOFN", "BWOFN", "KBOFN", "KKOFN", "KWOFN", "VBOFN", "VKOFN"),
        *("WBOFN", "WVOFN", "WWOFN", "WYOFN", "YKOFN", "YWOFN"),
    },
}
"""Formulas of the databases that are refused; version 0.1.0 read them."""


@pytest.mark.parametrize("name", ["jarvis_targets", "matbench_expt_gap", "mp_structures", "oqmd", "perov_5"])
def test_formulas_of_databases_are_read_but_for_those_listed(
    name: str, development_data: Callable[[str], Path]
) -> None:
    refused = set()
    for formula in set(pq.read_table(development_data(f"{name}.parquet"), columns=["formula"])["formula"].to_pylist()):
        try:
            parse_formula(formula)
        except FormulaError:
            refused.add(formula)
    damaged = {"2-Feb", "3-Feb"}  # FeB2 and FeB3 after a spreadsheet
    assert refused - damaged == DIFFERENCES.get(name, set())
    assert all(readings(formula) == [by_pymatgen(formula)] for formula in refused - damaged)


@pytest.mark.parametrize("text", ["SmCO5", "Mg2SN", "Nb3SN", "LaNI5", "AlCOCrFeNi", "TiNISn", "LiCOPO4", "HOMnO3"])
def test_capitals_that_make_an_alloy_or_the_usual_order_are_refused(text: str) -> None:
    with pytest.raises(FormulaError, match="other elements"):
        parse_formula(text)


@pytest.mark.parametrize("text", ["Al2CO", "AgCO2", "Ti2CO2", "Hf2CS", "YBRh3", "NaSCN", "HCOONa", "Mo(CO)6"])
def test_carbides_oxalates_and_carbonyls_are_read_as_written(text: str) -> None:
    assert parse_formula(text) == by_pymatgen(text)


def test_a_structure_settles_a_formula_with_two_readings() -> None:
    assert readings("B48") == readings("B") == [parse_formula("B")]
    assert readings("KBOFN") == [parse_formula("K1B1O1F1N1")]
    assert readings("TiO2") == [parse_formula("Ti2O4")]
    assert readings("(" * 2000) == readings("?") == []


@pytest.mark.parametrize(("amounts", "formula"), [("SN", "S1N1"), ("YBCO", "Y1B1C1O1"), ("CO", "CO"), ("BN", "BN")])
def test_a_formula_that_is_written_has_one_reading(amounts: str, formula: str) -> None:
    composition = by_pymatgen(amounts)
    assert composition.reduced_formula == formula
    assert parse_formula(formula) == composition
