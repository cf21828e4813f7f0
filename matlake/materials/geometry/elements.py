"""What the structural descriptor knows of the elements H to Cm: masses, covalent radii, electronegativities.

Sources: standard atomic weights (CIAAW, 2021; of an element without a stable isotope, the mass of the longest-lived);
covalent radii of Cordero et al., Dalton Trans. 2832 (2008), doi:10.1039/b801115j, high spin for Mn, Fe and Co and sp³
for C; electronegativities as in ``periodic_table``, and for He, Ne and Ar, of which Pauling's scale has none, those of
Allen, J. Am. Chem. Soc. 111, 9003 (1989), doi:10.1021/ja00207a003.
"""

from typing import Final

import numpy as np

from matlake.materials.periodic_table import ATOMIC_NUMBER, ELECTRONEGATIVITY, SYMBOLS

MASSES_U: Final[tuple[float, ...]] = tuple(
    float(value)
    for value in (
        "1.008 4.0026 6.94 9.0122 10.81 12.011 14.007 15.999 18.9984 20.1797 22.9898 24.305 26.9815 28.085 30.9738 "
        "32.06 35.45 39.948 39.0983 40.078 44.9559 47.867 50.9415 51.9961 54.938 55.845 58.9332 58.6934 63.546 "
        "65.38 69.723 72.63 74.9216 78.971 79.904 83.798 85.4678 87.62 88.9058 91.224 92.9064 95.95 97.9072 101.07 "
        "102.9055 106.42 107.8682 112.414 114.818 118.71 121.76 127.6 126.9045 131.293 132.9055 137.327 138.9055 "
        "140.116 140.9077 144.242 144.9128 150.36 151.964 157.25 158.9254 162.5 164.9303 167.259 168.9342 173.054 "
        "174.9668 178.49 180.9479 183.84 186.207 190.23 192.217 195.084 196.9666 200.592 204.38 207.2 208.9804 "
        "208.9824 209.9872 222.0176 223.0197 226.0254 227.0277 232.0377 231.0359 238.0289 237.0482 244.0642 "
        "243.0614 247.0703"
    ).split()
)

COVALENT_RADII_A: Final[tuple[float, ...]] = tuple(
    float(value)
    for value in (
        "0.31 0.28 1.28 0.96 0.84 0.76 0.71 0.66 0.57 0.58 1.66 1.41 1.21 1.11 1.07 1.05 1.02 1.06 2.03 1.76 1.7 "
        "1.6 1.53 1.39 1.39 1.32 1.26 1.24 1.32 1.22 1.22 1.2 1.19 1.2 1.2 1.16 2.2 1.95 1.9 1.75 1.64 1.54 1.47 "
        "1.46 1.42 1.39 1.45 1.44 1.42 1.39 1.39 1.38 1.39 1.4 2.44 2.15 2.07 2.04 2.03 2.01 1.99 1.98 1.98 1.96 "
        "1.94 1.92 1.92 1.89 1.9 1.87 1.87 1.75 1.7 1.62 1.51 1.44 1.41 1.36 1.36 1.32 1.45 1.46 1.48 1.4 1.5 1.5 "
        "2.6 2.21 2.15 2.06 2 1.96 1.9 1.87 1.8 1.69"
    ).split()
)

ELEMENTS: Final = SYMBOLS[: len(COVALENT_RADII_A)]

_ALLEN: Final = {"He": 4.16, "Ne": 4.787, "Ar": 3.242}

ELECTRONEGATIVITIES: Final[tuple[float, ...]] = tuple(
    _ALLEN.get(symbol, ELECTRONEGATIVITY[ATOMIC_NUMBER[symbol] - 1]) for symbol in ELEMENTS
)

TABLE: Final = np.array([(0.0, 1.0, 0.0), *zip(MASSES_U, COVALENT_RADII_A, ELECTRONEGATIVITIES, strict=True)])
"""float64 [97, 3]: mass in u, radius in Å and electronegativity of the element with that atomic number."""
TABLE.flags.writeable = False

MASS, RADIUS, ELECTRONEGATIVITY_COLUMN = 0, 1, 2
