"""Symmetry of a CIF: from operations or the name of a space group to all atoms of the cell."""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from matlake.errors import RAISE_MAX_ATOMS, StructureError, TooManyAtomsError
from matlake.materials.kernels import kernel

if TYPE_CHECKING:
    import gemmi

MERGED_A: Final = 0.1
"""Images of a site closer than this are one atom on a special position whose coordinates were rounded."""

MAX_OPERATIONS: Final = 768  # the 192 of a face-centred cubic group, in a cell of four times the size

_DENOMINATOR: Final = 24  # of gemmi's whole-number operations
_STEEPEST: Final = 3  # entry of a rotation; 1 in conventional cells, more in skewed ones
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
        StructureError: One cannot be read, there are too many, or they do not form a group: an operation is missing.
    """
    import gemmi

    if len(triplets) > MAX_OPERATIONS:
        raise StructureError(f"{len(triplets):,} symmetry operations, more than {MAX_OPERATIONS:,}")
    operations = []
    for triplet in triplets:
        try:
            if len(triplet) > _MAX_TEXT:
                raise ValueError("too long")  # noqa: TRY301 - one place says which
            operations.append(gemmi.Op(triplet.strip("'\" ")).wrap())
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

    plain = name.replace("_", "").replace("(", "").replace(")", "").strip()
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
        return (_operations(list(gemmi.symops_from_hall(symbol)), complete=True),)
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
    species, expanded = _expand(
        numbers, positions, lattice, operations.rotations, operations.translations, MERGED_A, max_atoms
    )
    if len(species) > max_atoms:
        raise TooManyAtomsError(
            f"more than {max_atoms:,} atoms after {len(operations)} symmetry operations on {len(numbers):,} sites",
            RAISE_MAX_ATOMS,
        )
    return species, expanded


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
    _, first = np.unique(keys, return_index=True)
    kept = np.sort(first)
    rotations, translations = rotations[kept], translations[kept]
    known = np.sort(keys)
    closed = known[0] >= 0
    for rotation, translation in zip(rotations, translations, strict=True):
        product = rotation @ rotations // _DENOMINATOR
        moved = (translations @ rotation.T // _DENOMINATOR + translation) % _DENOMINATOR
        products = _keys(product, moved)
        closed &= (known[np.searchsorted(known, products) % len(known)] == products).all()
    if not closed:
        raise StructureError(
            f"the {len(rotations)} symmetry operations do not form a group: some are missing or wrong",
            "list all of them, or none and the name of the space group",
        )
    return rotations, translations


def _keys(rotations: NDArray[np.int64], translations: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number operations, each differently; -1 for what is no operation of a cell that anyone would choose."""
    whole, rest = np.divmod(rotations.reshape(-1, 9), _DENOMINATOR)
    keys = np.ravel_multi_index(
        (*(np.clip(whole, -_STEEPEST, _STEEPEST) + _STEEPEST).T, *translations.T),
        (2 * _STEEPEST + 1,) * 9 + (_DENOMINATOR,) * 3,
    )
    return np.where((rest != 0).any(axis=1) | (np.abs(whole) > _STEEPEST).any(axis=1), -1, keys)


@kernel
def _expand(numbers, positions, lattice, rotations, translations, tolerance, max_atoms):
    """Return species and positions of all atoms; stops one atom after ``max_atoms``."""
    capacity = min(len(numbers) * len(rotations), max_atoms + 1)
    species = np.empty(capacity, dtype=numbers.dtype)
    places = np.empty((capacity, 3))
    end = 0
    for site in range(len(numbers)):
        place = positions[site] - np.floor(positions[site])
        if _known(species[:end], places[:end], numbers[site], place, lattice, tolerance):
            continue  # with all its images
        start = end
        for operation in range(len(rotations)):
            place = translations[operation].copy()
            for k in range(3):
                for m in range(3):
                    place[k] += rotations[operation, k, m] * positions[site, m]
            place -= np.floor(place)
            place[place >= 1.0] = 0.0
            if _known(species[start:end], places[start:end], numbers[site], place, lattice, tolerance):
                continue
            species[end] = numbers[site]
            places[end] = place
            end += 1
            if end > max_atoms:
                return species[:end].copy(), places[:end].copy()
    return species[:end].copy(), places[:end].copy()


@kernel
def _known(species, places, number, place, lattice, tolerance):
    """Tell whether an atom of this element is there already, the nearest image in each direction taken."""
    for atom in range(len(places)):
        if species[atom] != number:
            continue
        x = y = z = 0.0
        for k in range(3):
            apart = places[atom, k] - place[k]
            apart -= np.rint(apart)
            x += apart * lattice[k, 0]
            y += apart * lattice[k, 1]
            z += apart * lattice[k, 2]
        if x * x + y * y + z * z < tolerance * tolerance:
            return True
    return False
