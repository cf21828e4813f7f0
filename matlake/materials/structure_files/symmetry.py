"""Symmetry of a CIF: from operations or the name of a space group to all atoms of the cell."""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numba as nb
import numpy as np
from numpy.typing import NDArray

from matlake.errors import StructureError

if TYPE_CHECKING:
    import gemmi

MERGED_A: Final = 0.1
"""Images of a site closer than this are one atom on a special position whose coordinates were rounded."""

MAX_OPERATIONS: Final = 1536  # the 192 of a cubic group with a centred cell, in a cell doubled along each axis

_DENOMINATOR: Final = 24  # of gemmi's whole-number operations
_GROUPS: Final = 230
_MAX_TEXT: Final = 200
_ORIGINS: Final = {" S": ":1", " Z": ":2"}  # as the ICSD names the two choices


@dataclass(frozen=True)
class Operations:
    """Symmetry operations: x becomes R x + t, in fractions of the cell.

    Attributes:
        rotations: float64 [m, 3, 3].
        translations: float64 [m, 3].
    """

    rotations: NDArray[np.float64]
    translations: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of operations."""
        return len(self.rotations)


@lru_cache(maxsize=1024)
def read_operations(triplets: tuple[str, ...]) -> Operations:
    """Read operations as a CIF writes them (``-y, x-y, z+1/3``).

    Raises:
        StructureError: One cannot be read, there are too many, or they are no group: an operation is missing.
    """
    import gemmi

    if len(triplets) > MAX_OPERATIONS:
        raise StructureError(f"{len(triplets):,} symmetry operations, more than {MAX_OPERATIONS:,}")
    operations = []
    for triplet in triplets:
        try:
            operations.append(gemmi.Op(triplet[:_MAX_TEXT].strip("'\" ")).wrap())
        except (RuntimeError, ValueError) as error:
            raise StructureError(f"cannot read symmetry operation {triplet[:40]!r}: {error}") from error
    return _operations(operations, complete=False)


@lru_cache(maxsize=1024)
def named_group(name: str, alpha: float, gamma: float) -> tuple[Operations, ...]:
    """Return the operations of a space group by its Hermann-Mauguin name, all settings that the name can mean.

    Args:
        name: In full or short, with or without blanks, any setting in the tables (``P 21/n``, ``F d -3 m:2``).
        alpha: Cell angle in degrees; with gamma, it tells hexagonal from rhombohedral axes where the name does not.
        gamma: Cell angle in degrees.

    Returns:
        One, or two where the group has two origins and the name says not which; none for an unknown name.
    """
    import gemmi

    plain = name[:_MAX_TEXT].replace("_", "").replace("(", "").replace(")", "").strip()
    if plain[-2:] in _ORIGINS:
        plain = plain[:-2] + _ORIGINS[plain[-2:]]
    group: gemmi.SpaceGroup | None = gemmi.find_spacegroup_by_name(plain, alpha, gamma)
    return () if group is None else _both_origins(group, settled=":" in plain)


@lru_cache(maxsize=256)
def numbered_group(number: int) -> tuple[Operations, ...]:
    """Return the operations of a space group by its number in the International Tables, in the standard setting.

    Returns:
        One, or two where there are two origins; none for an unknown number.
    """
    import gemmi

    if not 0 < number <= _GROUPS:
        return ()
    return _both_origins(gemmi.find_spacegroup_by_number(number), settled=False)


@lru_cache(maxsize=1024)
def hall_group(symbol: str) -> tuple[Operations, ...]:
    """Return the operations of a space group by its Hall symbol; none for one that cannot be read."""
    import gemmi

    try:
        return (_operations(list(gemmi.symops_from_hall(symbol[:_MAX_TEXT])), complete=True),)
    except (RuntimeError, ValueError):
        return ()


def expand(
    numbers: NDArray[np.int16],
    positions: NDArray[np.float64],
    lattice: NDArray[np.float64],
    operations: Operations,
    max_atoms: int,
) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """Return all atoms of the cell; a site listed twice, or an image that falls on its own site, counts once.

    Args:
        numbers: int16 [s], species of the sites listed.
        positions: float64 [s, 3], fractional, finite.
        lattice: float64 [3, 3] in Å.
        operations: The symmetry.
        max_atoms: Stop with an error beyond this.

    Returns:
        Species int16 [n] and positions float64 [n, 3] in [0, 1), site after site.

    Raises:
        StructureError: More than ``max_atoms``.
    """
    sites, expanded = _expand(
        numbers, positions, lattice, operations.rotations, operations.translations, MERGED_A, max_atoms
    )
    if len(sites) > max_atoms:
        raise StructureError(
            f"more than {max_atoms:,} atoms after {len(operations)} symmetry operations on {len(numbers):,} sites",
            "raise --max-atoms",
        )
    return numbers[sites], expanded


def _both_origins(group: "gemmi.SpaceGroup", *, settled: bool) -> tuple[Operations, ...]:
    import gemmi

    first = _operations(list(group.operations()), complete=True)
    if settled or group.ext != "1":
        return (first,)
    second = gemmi.find_spacegroup_by_name(group.hm + ":2")
    return (first, _operations(list(second.operations()), complete=True))


def _operations(operations: "list[gemmi.Op]", *, complete: bool) -> Operations:
    rotations = np.array([operation.rot for operation in operations], dtype=np.int64)
    translations = np.array([operation.tran for operation in operations], dtype=np.int64)
    if not complete:
        rotations, translations = _checked_group(rotations, translations % _DENOMINATOR)
    return Operations(rotations / _DENOMINATOR, translations / _DENOMINATOR)


def _checked_group(
    rotations: NDArray[np.int64], translations: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return each operation once, in the order given; without all products, atoms would be missing in silence."""
    keys = _keys(rotations, translations)
    _, first = np.unique(keys, axis=0, return_index=True)
    kept = np.sort(first)
    rotations, translations, known = rotations[kept], translations[kept], {key.tobytes() for key in keys[kept]}
    for rotation, translation in zip(rotations, translations, strict=True):
        product = rotation @ rotations // _DENOMINATOR
        moved = (translations @ rotation.T // _DENOMINATOR + translation) % _DENOMINATOR
        if not all(key.tobytes() in known for key in _keys(product, moved)):
            raise StructureError(
                f"the {len(rotations)} symmetry operations are no group: some are missing or wrong",
                "list all of them, or none and the name of the space group",
            )
    return rotations, translations


def _keys(rotations: NDArray[np.int64], translations: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([rotations.reshape(-1, 9), translations], axis=1)


@nb.njit(nogil=True, cache=True)
def _expand(  # type: ignore[no-untyped-def] # noqa: ANN202
    numbers,  # noqa: ANN001
    positions,  # noqa: ANN001
    lattice,  # noqa: ANN001
    rotations,  # noqa: ANN001
    translations,  # noqa: ANN001
    tolerance,  # noqa: ANN001
    max_atoms,  # noqa: ANN001
):
    """Return the site of each atom and its position; stops one atom after ``max_atoms``."""
    capacity = min(len(numbers) * len(rotations), max_atoms + 1)
    sites = np.empty(capacity, dtype=np.int64)
    places = np.empty((capacity, 3))
    end = 0
    image = np.empty(3)
    for site in range(len(numbers)):
        for k in range(3):
            image[k] = positions[site, k] - np.floor(positions[site, k])
        start = end
        listed = False
        for atom in range(end):
            if numbers[sites[atom]] == numbers[site] and _same_place(places[atom], image, lattice, tolerance):
                listed = True
                break
        if listed:
            continue
        for operation in range(len(rotations)):
            for k in range(3):
                value = translations[operation, k]
                for m in range(3):
                    value += rotations[operation, k, m] * positions[site, m]
                image[k] = value - np.floor(value)
                if image[k] >= 1.0:
                    image[k] = 0.0
            new = True
            for atom in range(start, end):
                if _same_place(places[atom], image, lattice, tolerance):
                    new = False
                    break
            if new:
                sites[end] = site
                places[end] = image
                end += 1
                if end > max_atoms:
                    return sites[:end].copy(), places[:end].copy()
    return sites[:end].copy(), places[:end].copy()


@nb.njit(nogil=True, cache=True)
def _same_place(one, other, lattice, tolerance):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
    """Tell whether two points are closer than the tolerance, the nearest image in each direction taken."""
    x = y = z = 0.0
    for k in range(3):
        apart = one[k] - other[k]
        apart -= np.rint(apart)
        x += apart * lattice[k, 0]
        y += apart * lattice[k, 1]
        z += apart * lattice[k, 2]
    return x * x + y * y + z * z < tolerance * tolerance
