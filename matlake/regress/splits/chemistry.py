"""Splits by chemistry: element, group or family, period, chemical system."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from matlake.errors import TrainingError
from matlake.materials.periodic_table import (
    ATOMIC_NUMBER,
    FAMILIES,
    GROUPS,
    PERIODS,
    SYMBOLS,
    elements_of_groups,
    period_of,
)
from matlake.regress.features.matrix import Matrix
from matlake.regress.splits.leave_one_out import Labels, Parts, leave_one_out, read_number
from matlake.regress.splits.random_groups import group_split
from matlake.regress.splits.split import Split


def element_split(argument: str | None) -> Split:
    """Return the split that tests the rows that contain an element.

    Leave-one-element-out: Li et al., Commun. Mater. 6 (2025), doi:10.1038/s43246-024-00731-w.
    """
    elements = {symbol: (z,) for symbol, z in ATOMIC_NUMBER.items()}
    return leave_one_out(_blocks("element", "element", "contain {}", elements), argument and _symbol(argument))


def group_element_split(argument: str | None) -> Split:
    """Return the split that tests the rows that contain an element of a group or family.

    Leave-one-group-out: Li et al., Commun. Mater. 6 (2025), doi:10.1038/s43246-024-00731-w.
    """
    family = argument and argument.lower().replace("_", "-").replace(" ", "-")
    if family in FAMILIES:
        return leave_one_out(_blocks("group", "family", "contain {}", FAMILIES), family)
    hint = f"groups: 1 to {GROUPS}, or {', '.join(FAMILIES)}"
    wanted = argument and read_number(argument, GROUPS, f"{argument!r} is not a group of the periodic table", hint)
    groups = {str(group): elements_of_groups(group) for group in range(1, GROUPS + 1)}
    return leave_one_out(_blocks("group", "group", "contain an element of group {}", groups), wanted)


def period_split(argument: str | None) -> Split:
    """Return the split that tests the rows that contain an element of a period.

    Leave-one-period-out: Li et al., Commun. Mater. 6 (2025), doi:10.1038/s43246-024-00731-w.
    """
    wanted = argument and read_number(
        argument, PERIODS, f"{argument!r} is not a period of the periodic table", f"periods: 1 to {PERIODS}"
    )
    periods = {
        str(period): tuple(z for z in range(1, len(SYMBOLS) + 1) if period_of(z) == period)
        for period in range(1, PERIODS + 1)
    }
    return leave_one_out(_blocks("period", "period", "contain an element of period {}", periods), wanted)


def chemical_system_split(argument: str | None) -> Split:
    """Return the split that holds out a fifth of the chemical systems, or one that is named.

    A chemical system is the set of elements. Witman and Schindler, Digital Discovery 4, 625 (2025).
    """
    if argument is None:
        return group_split("chemical-system", _systems, "belong to chemical systems drawn at random")
    wanted = "-".join(sorted({_symbol(symbol) for symbol in argument.split("-")}))
    parts = Parts("chemical-system", "chemical system", "are made of {} and nothing else", _label_systems)
    return leave_one_out(parts, wanted)


def _blocks(kind: str, noun: str, rule: str, blocks: Mapping[str, tuple[int, ...]]) -> Parts:
    """Return the parts of which each holds the rows with an element among some atomic numbers."""

    def read(matrix: Matrix) -> Labels:
        held = {name: (matrix.fractions[:, np.array(zs) - 1] > 0).any(axis=1) for name, zs in blocks.items()}
        member = {name: rows for name, rows in held.items() if rows.any()}
        parts, rows = np.nonzero(np.reshape([*member.values()], (-1, len(matrix.y))))
        return Labels(tuple(member), rows, parts, np.zeros(len(matrix.y), dtype=bool))

    return Parts(kind, noun, rule, read)


def _systems(matrix: Matrix) -> NDArray[np.str_]:
    """Return str [n], the chemical system of each row, symbols in alphabetical order: ``Fe-O``."""
    present = matrix.fractions > 0
    _, first, system = np.unique(np.packbits(present, axis=1), axis=0, return_index=True, return_inverse=True)
    names = ["-".join(sorted(SYMBOLS[place] for place in np.flatnonzero(present[row]))) for row in first]
    return np.array(names, dtype=np.str_)[system]


def _label_systems(matrix: Matrix) -> Labels:
    names, codes = np.unique(_systems(matrix), return_inverse=True)
    return Labels.of_codes(codes, names.tolist())


def _symbol(text: str) -> str:
    symbol = text.strip().capitalize()
    if symbol not in ATOMIC_NUMBER:
        raise TrainingError(f"{text!r} is not an element", "give its symbol, such as O or Fe")
    return symbol
