"""The order in which chemists write the elements of a formula: ``PbTe`` and ``CuInSe2``, not ``TePb`` and ``InCuSe2``.

Databases order by electronegativity, so a filter such as ``formula NOT IN ('PbTe')`` passes their row.
"""

from fractions import Fraction
from typing import Final

from matlake.errors import FormulaError
from matlake.materials.formula import parse_formula
from matlake.materials.formula_reading.grammar import PLAIN, plain_amounts
from matlake.materials.periodic_table import ATOMIC_NUMBER, SYMBOLS

_SEQUENCE: Final = (
    "Rn Xe Kr Ar Ne He Fr Cs Rb K Na Li Ra Ba Sr Ca Mg Be "
    "Lr No Md Fm Es Cf Bk Cm Am Pu Np U Pa Th Ac Lu Yb Tm Er Ho Dy Tb Gd Eu Sm Pm Nd Pr Ce La Y Sc "
    "Hf Zr Ti Ta Nb V W Mo Cr Re Tc Mn Os Ru Fe Ir Rh Co Pt Pd Ni Au Ag Cu Hg Cd Zn "
    "Tl In Ga Al B Pb Sn Ge Si C Bi Sb As P N H Po Te Se S O At I Br Cl F"
).split()
_PLACE: Final = {ATOMIC_NUMBER[symbol]: place for place, symbol in enumerate(_SEQUENCE)}
"""N. G. Connelly et al., Nomenclature of Inorganic Chemistry (IUPAC Recommendations 2005), table VI."""


def in_usual_order(formula: str) -> str:
    """Return a formula without brackets, its elements in IUPAC's order, its amounts as they are where it has decimals.

    Raises:
        FormulaError: It cannot be read.
    """
    composition = parse_formula(formula)
    written = plain_amounts(formula, formula) if PLAIN.fullmatch(formula) and "." in formula else {}
    amounts = written or dict(composition.amounts)
    ordered = sorted(amounts.items(), key=lambda part: _PLACE[part[0]])
    short = "".join(f"{SYMBOLS[z - 1]}{_text(amount) if amount != 1 else ''}" for z, amount in ordered)
    try:
        same = parse_formula(short) == composition
    except FormulaError:
        same = False
    return short if same else "".join(f"{SYMBOLS[z - 1]}{_text(amount)}" for z, amount in ordered)


def _text(amount: int | Fraction) -> str:
    return f"{float(amount):g}" if isinstance(amount, Fraction) else str(amount)
