"""The periodic table: symbols, electronegativities, periods, groups, blocks and families of the 118 elements."""

from typing import Final

SYMBOLS: Final[tuple[str, ...]] = tuple(
    (
        "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr "
        "Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho Er Tm "
        "Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U Np Pu Am Cm Bk Cf Es Fm Md No "
        "Lr Rf Db Sg Bh Hs Mt Ds Rg Cn Nh Fl Mc Lv Ts Og"
    ).split(),
)
"""Symbols of the 118 elements; ``SYMBOLS[z - 1]`` has atomic number ``z``."""

ATOMIC_NUMBER: Final[dict[str, int]] = {symbol: z for z, symbol in enumerate(SYMBOLS, start=1)}

ELECTRONEGATIVITY: Final[tuple[float, ...]] = tuple(
    float(value)
    for value in (
        "2.2 nan 0.98 1.57 2.04 2.55 3.04 3.44 3.98 nan 0.93 1.31 1.61 1.9 2.19 2.58 3.16 nan 0.82 1 1.36 1.54 1.63 "
        "1.66 1.55 1.83 1.88 1.91 1.9 1.65 1.81 2.01 2.18 2.55 2.96 3 0.82 0.95 1.22 1.33 1.6 2.16 1.9 2.2 2.28 2.2 "
        "1.93 1.69 1.78 1.96 2.05 2.1 2.66 2.6 0.79 0.89 1.1 1.12 1.13 1.14 1.13 1.17 1.2 1.2 1.1 1.22 1.23 1.24 1.25 "
        "1.1 1.27 1.3 1.5 2.36 1.9 2.2 2.2 2.28 2.54 2 1.62 2.33 2.02 2 2.2 2.2 0.7 0.9 1.1 1.3 1.5 1.38 1.36 1.28 "
        "1.3 1.3 1.3 1.3 1.3 1.3 1.3 1.3 1.3"
    ).split()
)
"""Pauling's, of elements 1 to 103; not a number for He, Ne and Ar. Values as in pymatgen's periodic table."""

ELEMNET_ELEMENTS: Final[tuple[str, ...]] = tuple(
    (
        "H Li Be B C N O F Na Mg Al Si P S Cl K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr "
        "Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy Ho "
        "Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Ac Th Pa U Np Pu"
    ).split(),
)
"""The 86 elements of ElemNet in order of atomic number: H to Pu without He, Ne, Ar, Po, At, Rn, Fr, Ra.

Source: Jha et al., Sci. Rep. 8, 17593 (2018).
"""

_PERIODS: Final = (1, 3, 11, 19, 37, 55, 87, 119)  # atomic numbers at which they begin
_F_BLOCK: Final = (*range(57, 72), *range(89, 104))
_HELIUM: Final = 2
_LAST_S_GROUP: Final = 2
_LAST_D_GROUP: Final = 12

PERIODS: Final = len(_PERIODS) - 1
"""Number of periods."""

GROUPS: Final = 18
"""Number of groups."""

BLOCKS: Final = "spdf"
"""The blocks, in the order in which subshells of a shell are written."""


def period_of(z: int) -> int:
    """Return the period of an element, 1 to 7; lanthanides are in the sixth, actinides in the seventh."""
    return next(period for period in range(PERIODS, 0, -1) if z >= _PERIODS[period - 1])


def group_of(z: int) -> int:
    """Return the group of an element, 1 to 18; lanthanides and actinides are in the third, as in pymatgen."""
    period = period_of(z)
    place, left = z - _PERIODS[period - 1], _PERIODS[period] - z
    if place < _LAST_S_GROUP and z != _HELIUM:
        return place + 1
    return max(_LAST_S_GROUP + 1, GROUPS + 1 - left)


def block_of(z: int) -> str:
    """Return the block of an element, ``s``, ``p``, ``d`` or ``f``; La to Lu and Ac to Lr are in the last."""
    if z in _F_BLOCK:
        return "f"
    group = group_of(z)
    if group <= _LAST_S_GROUP or z == _HELIUM:
        return "s"
    return "d" if group <= _LAST_D_GROUP else "p"


def elements_of_groups(*groups: int) -> tuple[int, ...]:
    """Return the atomic numbers of the elements in any of some groups."""
    return tuple(z for z in range(1, len(SYMBOLS) + 1) if group_of(z) in groups)


BLOCK_OF: Final[dict[str, str]] = {symbol: block_of(z) for symbol, z in ATOMIC_NUMBER.items()}
"""The block of each element, by its symbol."""

FAMILIES: Final[dict[str, tuple[int, ...]]] = {
    "alkali-metals": elements_of_groups(1)[1:],
    "alkaline-earth-metals": elements_of_groups(2),
    "transition-metals": tuple(z for z in elements_of_groups(*range(3, 13)) if z not in _F_BLOCK),
    "lanthanides": _F_BLOCK[:15],
    "actinides": _F_BLOCK[15:],
    "rare-earths": (21, 39, *_F_BLOCK[:15]),
    "pnictogens": elements_of_groups(15),
    "chalcogens": elements_of_groups(16),
    "halogens": elements_of_groups(17),
    "noble-gases": elements_of_groups(18),
}
"""Atomic numbers of the elements that chemists name together (IUPAC Red Book 2005, IR-3.5); hydrogen is not a metal."""
