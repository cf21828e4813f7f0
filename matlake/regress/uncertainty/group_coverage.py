"""What share of measured values intervals hold in groups of materials: elements, kinds of compounds, clusters.

An interval holds nine of ten values over all materials like the training rows. Within a group it may hold fewer.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.materials.periodic_table import SYMBOLS

MIN_ROWS: Final = 30
"""A share of fewer rows has a standard error of more than 5 %."""

LISTED: Final = 5

_KINDS: Final = {
    "F": "fluorides", "O": "oxides", "Cl": "chlorides", "N": "nitrides", "Br": "bromides", "I": "iodides",
    "S": "sulfides", "Se": "selenides", "C": "carbides", "H": "hydrides", "As": "arsenides", "P": "phosphides",
    "Te": "tellurides", "Sb": "antimonides", "B": "borides", "Ge": "germanides", "Si": "silicides",
}  # fmt: skip
"""Elements that name a kind of compound, the most electronegative first (Pauling's scale)."""

_INTERMETALLIC: Final = "without an anion"


@dataclass(frozen=True)
class GroupCoverage:
    """Intervals in a group of materials.

    Attributes:
        group: Its name, such as ``oxides``, ``with Fe`` or ``cluster of compositions 3``.
        rows: Number of them, each predicted by a fit without its composition.
        coverage: Share of measured values in their interval.
    """

    group: str
    rows: int
    coverage: float


def worst_groups(
    fractions: NDArray[np.float32], held: NDArray[np.bool_], clusters: NDArray[np.intp]
) -> tuple[GroupCoverage, ...]:
    """Return the groups of at least ``MIN_ROWS`` rows whose intervals hold least, at most ``LISTED``, worst first.

    Args:
        fractions: Element fractions, float32 [n, 118].
        held: bool [n], whether the measured value is in the interval.
        clusters: Numbers of clusters of compositions [n]; negative where there is none.
    """
    groups: dict[str, NDArray[np.bool_]] = {
        f"with {symbol}": fractions[:, place] > 0.0 for place, symbol in enumerate(SYMBOLS)
    }
    kinds = compound_kinds(fractions)
    groups |= {kind: kinds == kind for kind in np.unique(kinds).tolist()}
    groups |= {f"cluster of compositions {n}": clusters == n for n in np.unique(clusters).tolist() if n >= 0}
    found = [
        GroupCoverage(name, int(rows.sum()), float(held[rows].mean()))
        for name, rows in groups.items()
        if rows.sum() >= MIN_ROWS
    ]
    return tuple(sorted(found, key=lambda one: one.coverage)[:LISTED])


def compound_kinds(fractions: NDArray[np.float32]) -> NDArray[np.str_]:
    """Return what each material is by its most electronegative element, such as ``oxides``, str [n].

    Args:
        fractions: Element fractions, float32 [n, 118].
    """
    kinds = np.full(len(fractions), _INTERMETALLIC, dtype="<U16")
    for symbol, kind in reversed(_KINDS.items()):
        kinds[fractions[:, SYMBOLS.index(symbol)] > 0.0] = kind
    return kinds
