"""Symmetry of a CIF: from operations or the name of a space group to all atoms of the cell."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from matlake.errors import RAISE_MAX_ATOMS, StructureError, TooManyAtomsError
from matlake.materials.kernels import kernel

if TYPE_CHECKING:
    import gemmi

_THIRD: Final = 1e-4  # relative; coordinates this close to 1/3 or 2/3 are that, as in pymatgen
MERGED_A: Final = 0.1
"""Images of a site closer than this are one atom on a special position whose coordinates were rounded."""

MAX_OPERATIONS: Final = 768  # the 192 of a face-centred cubic group, in a cell of four times the size

_DENOMINATOR: Final = 24  # of gemmi's whole-number operations
_STEEPEST: Final = 3  # entry of a rotation; 1 in conventional cells, more in skewed ones
_MAX_TEXT: Final = 200
_TRIPLET: Final = frozenset("xyzXYZ0123456789+-*/., \t'\"")
_UNSYMMETRIC: Final = 0.05  # relative change of the metric by an operation that does not belong to this cell
_CENTRINGS: Final = {
    "A": [(0, 12, 12)],
    "B": [(12, 0, 12)],
    "C": [(12, 12, 0)],
    "I": [(12, 12, 12)],
    "F": [(0, 12, 12), (12, 0, 12), (12, 12, 0)],
}


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

    @cached_property
    def keys(self) -> frozenset[int]:
        """Numbers that tell operations apart, to compare groups."""
        rotations, translations = (
            np.rint(part * _DENOMINATOR).astype(np.int64) for part in (self.rotations, self.translations)
        )
        return frozenset(_keys(rotations, translations).tolist())

    def fit(self, lattice: NDArray[np.float64]) -> bool:
        """Tell whether a cell, float64 [3, 3] in Å, has the symmetry of these operations."""
        if len(self) == 1:
            return True
        metric = lattice @ lattice.T
        moved = np.swapaxes(self.rotations, 1, 2) @ metric @ self.rotations
        return bool(np.abs(moved - metric).max() <= _UNSYMMETRIC * np.abs(metric).max())


@dataclass(frozen=True)
class ListedOperations:
    """Operations as a file lists them, the identity added where it is left out.

    Attributes:
        operations: Each of them once, in the order given.
        closed: Whether they form a group; otherwise some are missing or wrong.
        number: Of the space group in the International Tables; None where the tables do not have these operations.
    """

    operations: Operations
    closed: bool
    number: int | None


@lru_cache(maxsize=1024)
def read_operations(triplets: tuple[str, ...]) -> ListedOperations:
    """Read operations as a CIF writes them (``-y, x-y, z+1/3``).

    Raises:
        StructureError: One cannot be read, or there are too many.
    """
    import gemmi

    if len(triplets) > MAX_OPERATIONS:
        raise StructureError(f"{len(triplets):,} symmetry operations, more than {MAX_OPERATIONS:,}")
    operations = []
    for triplet in triplets:
        try:
            if len(triplet) > _MAX_TEXT or not _TRIPLET.issuperset(triplet):
                raise ValueError("not of the form x,y,z")  # noqa: TRY301 - one place says which
            operations.append(gemmi.Op(triplet.strip("'\" ")).wrap())
        except (RuntimeError, ValueError) as error:
            raise StructureError(f"cannot read symmetry operation {triplet[:40]!r}: {error}") from error
    identity = gemmi.Op()
    if identity not in operations:
        operations.insert(0, identity)
    listed = _operations(list(dict.fromkeys(operations)))
    closed = _is_group(listed)
    group = gemmi.find_spacegroup_by_ops(gemmi.GroupOps(operations)) if closed else None
    return ListedOperations(listed, closed, None if group is None else group.number)


def operations_of(group: "gemmi.SpaceGroup") -> Operations:
    """Return the operations of a space group in one of its settings."""
    return _of_hall(group.hall)


def hall_operations(symbol: str) -> ListedOperations | None:
    """Return the operations of a space group by its Hall symbol; None for one that cannot be read."""
    try:
        return _listed_by_hall(symbol)
    except (RuntimeError, ValueError):
        return None


def with_centring(operations: Operations, letter: str) -> Operations | None:
    """Return operations combined with the translations of a centred cell; None where that is the same group.

    Args:
        operations: A group or a part of one.
        letter: ``A``, ``B``, ``C``, ``I`` or ``F``.
    """
    whole = np.rint(operations.translations * _DENOMINATOR).astype(np.int64)
    rotations = np.rint(operations.rotations * _DENOMINATOR).astype(np.int64)
    shifts = np.array([(0, 0, 0), *_CENTRINGS[letter]], dtype=np.int64)
    all_rotations = np.concatenate([rotations] * len(shifts))
    all_translations = np.concatenate([(whole + shift) % _DENOMINATOR for shift in shifts])
    _, first = np.unique(_keys(all_rotations, all_translations), return_index=True)
    kept = np.sort(first)
    centred = Operations(all_rotations[kept] / _DENOMINATOR, all_translations[kept] / _DENOMINATOR)
    return centred if len(centred) > len(operations) and _is_group(centred) else None


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


def whole_cell(
    species: NDArray[np.int16],
    positions: NDArray[np.float64],
    lattice: NDArray[np.float64],
    operations: Operations,
    max_atoms: int,
) -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """Return all atoms of the cell as ``expand`` does, rounded thirds being exact if there is symmetry."""
    if len(operations) > 1:
        for third in (1 / 3, 2 / 3):
            positions = np.where(np.abs(positions / third - 1.0) <= _THIRD, third, positions)
    return expand(species, positions, lattice, operations, max_atoms)


def one_crystal(
    cell: tuple[NDArray[np.int16], NDArray[np.float64]],
    other: tuple[NDArray[np.int16], NDArray[np.float64]],
    lattice: NDArray[np.float64],
) -> bool:
    """Tell whether two lists of atoms in one cell, species and positions, are the same but for their order."""
    atoms = len(cell[0])
    if atoms != len(other[0]):
        return False
    both = [np.concatenate([one, two]) for one, two in zip(cell, other, strict=True)]
    merged, _ = _expand(*both, lattice, np.eye(3)[None], np.zeros((1, 3)), MERGED_A, 2 * atoms)
    return len(merged) == atoms


@lru_cache(maxsize=1024)
def _of_hall(symbol: str) -> Operations:
    import gemmi

    return _operations(list(gemmi.symops_from_hall(symbol)))


@lru_cache(maxsize=1024)
def _listed_by_hall(symbol: str) -> ListedOperations:
    import gemmi

    group = gemmi.find_spacegroup_by_ops(gemmi.symops_from_hall(symbol))
    return ListedOperations(_of_hall(symbol), closed=True, number=None if group is None else group.number)


def _operations(operations: "list[gemmi.Op]") -> Operations:
    rotations = np.array([operation.rot for operation in operations], dtype=np.int64)
    translations = np.array([operation.tran for operation in operations], dtype=np.int64) % _DENOMINATOR
    return Operations(rotations / _DENOMINATOR, translations / _DENOMINATOR)


def _is_group(operations: Operations) -> bool:
    """Tell whether all products of the operations are among them; otherwise atoms would be missing in silence."""
    rotations = np.rint(operations.rotations * _DENOMINATOR).astype(np.int64)
    translations = np.rint(operations.translations * _DENOMINATOR).astype(np.int64)
    known = np.sort(_keys(rotations, translations))
    if known[0] < 0:
        return False
    for rotation, translation in zip(rotations, translations, strict=True):
        product = rotation @ rotations // _DENOMINATOR
        moved = (translations @ rotation.T // _DENOMINATOR + translation) % _DENOMINATOR
        products = _keys(product, moved)
        if not (known[np.searchsorted(known, products) % len(known)] == products).all():
            return False
    return True


def _keys(rotations: NDArray[np.int64], translations: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number operations, each differently; -1 for what is not an operation of a cell that anyone would choose."""
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
