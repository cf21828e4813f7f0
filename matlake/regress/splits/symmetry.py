"""Splits by symmetry: space group, crystal system.

Both are found by spglib in the geometry, with one tolerance for all rows, never read from a column: databases state
them at tolerances of their own, by number or by symbol. ``column:NAME`` splits by such a column.
"""

import warnings
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.errors import TrainingError
from matlake.materials.crystal import CrystalColumns
from matlake.regress.features.matrix import Matrix
from matlake.regress.splits.leave_one_out import Labels, Parts, leave_one_out, read_number
from matlake.regress.splits.split import Split

TOLERANCE_A: Final = 0.01
"""Distance in Å within which two positions count as one (spglib's ``symprec``); the Materials Project has used 0.1."""

_LAST: Final = 230
_NO_SYMMETRY: Final = "a crystal whose symmetry can be found"

CRYSTAL_SYSTEMS: Final[dict[str, int]] = {
    "triclinic": 2,
    "monoclinic": 15,
    "orthorhombic": 74,
    "tetragonal": 142,
    "trigonal": 167,
    "hexagonal": 194,
    "cubic": 230,
}
"""The last space group of each (International Tables for Crystallography A)."""


def space_group_split(argument: str | None) -> Split:
    """Return the split that tests the crystals of a space group.

    Leave-one-space-group-out: Li et al., Commun. Mater. 6 (2025), doi:10.1038/s43246-024-00731-w.
    """
    wanted = argument and read_number(
        argument, _LAST, f"{argument!r} is not a space group", f"give its number, 1 to {_LAST}"
    )

    def read(matrix: Matrix) -> Labels:
        return Labels.of_codes(_found(matrix) - 1, [str(number) for number in range(1, _LAST + 1)], _NO_SYMMETRY)

    return leave_one_out(
        Parts("space-group", "space group", "are of space group {}", read), wanted, needs_crystals=True
    )


def crystal_system_split(argument: str | None) -> Split:
    """Return the split that tests the crystals of a crystal system.

    Leave-one-crystal-system-out: Li et al., Commun. Mater. 6 (2025), doi:10.1038/s43246-024-00731-w.
    """
    wanted = None if argument is None else argument.lower()
    if wanted is not None and wanted not in CRYSTAL_SYSTEMS:
        raise TrainingError(f"{argument!r} is not a crystal system", f"crystal systems: {', '.join(CRYSTAL_SYSTEMS)}")

    def read(matrix: Matrix) -> Labels:
        found = _found(matrix)
        places = np.where(found > 0, np.searchsorted(list(CRYSTAL_SYSTEMS.values()), found), -1)
        return Labels.of_codes(places, list(CRYSTAL_SYSTEMS), _NO_SYMMETRY)

    return leave_one_out(Parts("crystal-system", "crystal system", "are {}", read), wanted, needs_crystals=True)


def space_groups(crystals: CrystalColumns, tolerance_A: float = TOLERANCE_A) -> NDArray[np.int16]:  # noqa: N803 - unit
    """Find the space groups of crystals.

    Togo, Shinohara and Tanaka, Sci. Technol. Adv. Mater. Meth. 4, 2384822 (2024).

    Args:
        crystals: n crystals.
        tolerance_A: Distance in Å within which two positions count as one.

    Returns:
        int16 [n], 1 to 230; 0 if there are no atoms, or if spglib finds no symmetry.
    """
    import spglib

    numbers = np.zeros(len(crystals), dtype=np.int16)
    with warnings.catch_warnings():  # spglib 2.7 and 2.8 warn at every call that version 3 will raise
        warnings.simplefilter("ignore", DeprecationWarning)
        for row in np.flatnonzero(crystals.sizes).tolist():
            crystal = crystals[row]
            cell = (crystal.lattice.tolist(), crystal.positions.tolist(), crystal.numbers.tolist())
            try:
                dataset = spglib.get_symmetry_dataset(cell, symprec=tolerance_A)
            except spglib.SpglibError:
                continue
            numbers[row] = dataset.number if dataset is not None else 0
    return numbers


def _found(matrix: Matrix) -> NDArray[np.int16]:
    found = np.zeros(0, np.int16) if matrix.crystals is None else space_groups(matrix.crystals)
    if not found.any():
        raise TrainingError(
            f"none of the {len(matrix.y):,} rows has {_NO_SYMMETRY}",
            "import structures, or split by a column: column:NAME",
        )
    return found
