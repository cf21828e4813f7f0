"""Whether a compound is charge-balanced: tells two readings of a formula apart, and nothing else.

The states are those that chemists expect first, one for each element of a compound. Encoders have their own, on their
cards.
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import Final

from matlake.materials.periodic_table import ATOMIC_NUMBER

_STATES: Final = {
    ATOMIC_NUMBER[symbol]: tuple(int(state) for state in states.split())
    for symbol, _, states in (
        entry.strip().partition(" ")
        for entry in (
            "H -1 1; Li 1; Be 2; B 3; C 2 4; N -3 3 5; O -2; F -1; Na 1; Mg 2; Al 3; Si 4; P -3 3 5; S -2 4 6; "
            "Cl -1 5 7; K 1; Ca 2; Sc 3; Ti 3 4; V 3 4 5; Cr 2 3 6; Mn 2 3 4 7; Fe 2 3; Co 2 3 4; Ni 2 3; Cu 1 2; "
            "Zn 2; Ga 3; Ge 2 4; As -3 3 5; Se -2 4 6; Br -1 5; Rb 1; Sr 2; Y 3; Zr 4; Nb 4 5; Mo 4 6; Tc 4 7; Ru 3 4; "
            "Rh 3; Pd 2 4; Ag 1; Cd 2; In 1 3; Sn 2 4; Sb -3 3 5; Te -2 4 6; I -1 5 7; Xe 2 4 6; Cs 1; Ba 2; La 3; "
            "Ce 3 4; Pr 3 4; Nd 3; Pm 3; Sm 2 3; Eu 2 3; Gd 3; Tb 3 4; Dy 3; Ho 3; Er 3; Tm 3; Yb 2 3; Lu 3; Hf 4; "
            "Ta 5; W 4 6; Re 4 7; Os 4 8; Ir 3 4; Pt 2 4; Au 1 3; Hg 1 2; Tl 1 3; Pb 2 4; Bi 3 5; Po 2 4; Ra 2; "
            "Ac 3; Th 4; Pa 4 5; U 3 4 5 6; Np 3 4 5; Pu 3 4; Am 3; Cm 3; Bk 3 4; Cf 3"
        ).split(";")
    )
}
_CARBON: Final = ATOMIC_NUMBER["C"]
_NONMETALS: Final = {ATOMIC_NUMBER[symbol] for symbol in "H C N O F P S Cl Se Br Te I Xe".split()}
_MOST_SUMS: Final = 2000
"""More do not come up in real compounds; without a bound their number grows with the power of the elements."""


def is_balanced(
    amounts: Mapping[int, int | Fraction], *, mixed_valence: bool = False, carbon: int | None = None
) -> bool:
    """Return whether charges can add up to zero with common oxidation states of two or more elements.

    Args:
        amounts: Atomic number -> amount.
        mixed_valence: Whether atoms of a metal may have several states (Pb3O4); otherwise an element has one.
        carbon: The one state of carbon, instead of its common ones.
    """
    if len(amounts) < 2:  # noqa: PLR2004 - an element is not a compound
        return False
    scale = math.lcm(*[amount.denominator for amount in amounts.values()])  # whole numbers add up quickly
    ranges = {(0, 0)}
    for z, share in amounts.items():
        amount = int(share * scale)
        if (states := _STATES.get(z)) is None:
            return False
        if carbon is not None and z == _CARBON:
            states = (carbon,)
        steps = [(state, state) for state in states]
        if mixed_valence and z not in _NONMETALS:
            steps.append((min(state for state in states if state > 0), states[-1]))
        ranges = {(low + one * amount, high + other * amount) for low, high in ranges for one, other in steps}
        if len(ranges) > _MOST_SUMS:
            return False
    return any(low <= 0 <= high for low, high in ranges)
