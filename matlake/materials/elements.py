"""The element order that composition encoders use."""

from typing import Final

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
