"""Crystals: species, lattice and fractional positions, one by one and in columns.

Everything after the import works on columns: one flat array of atoms and one of positions for many crystals, as
Parquet and the neighbour kernel want them.
"""

import hashlib
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from matlake.arrow_columns import whole
from matlake.errors import StructureError, TooManyAtomsError
from matlake.materials.formula import Composition
from matlake.materials.periodic_table import SYMBOLS
from matlake.materials.ragged import offsets_of, ranges

MAX_ATOMS: Final = 10_000
"""Largest cell that is imported by default."""

SHORTEST_BOND_A: Final = 0.5
"""Atoms closer than this are on top of each other: the bond of H₂, the shortest there is, has 0.74 Å."""

_SMALLEST_EDGE_A: Final = 0.5
_LARGEST_EDGE_A: Final = 10_000.0
_FLATTEST: Final = 1e-3  # volume over the product of the edges: below it, a cell is a plane within its own precision

COLUMNS: Final = pa.schema(
    [
        ("site_atomic_numbers", pa.list_(pa.int16())),
        ("lattice_A", pa.list_(pa.float64())),
        ("fractional_positions", pa.list_(pa.float64())),
    ]
)
"""Geometry as a dataset stores it: n atoms, 9 numbers (rows are the cell vectors), 3n numbers."""


@dataclass(frozen=True, repr=False)
class Crystal:
    """A periodic arrangement of atoms.

    Attributes:
        numbers: int16 [n], atomic numbers.
        lattice: float64 [3, 3], cell vectors in Å, one a row.
        positions: float64 [n, 3], fractional.
    """

    numbers: NDArray[np.int16]
    lattice: NDArray[np.float64]
    positions: NDArray[np.float64]

    def __repr__(self) -> str:
        """Say in a line what it is."""
        return f"<crystal of {self.composition.reduced_formula}: {len(self.numbers):,} atoms, {self.volume:.1f} Å³>"

    @cached_property
    def content_hash(self) -> str:
        """What a crystal encoder sees, as 32 hexadecimal digits (128-bit BLAKE2b of species, lattice, positions)."""
        digest = hashlib.blake2b(digest_size=16)
        for values in (self.numbers, self.lattice, self.positions):
            digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()

    @cached_property
    def composition(self) -> Composition:
        """The exact composition of the cell."""
        counts = Counter(self.numbers.tolist())
        divisor = math.gcd(*counts.values())
        return Composition(tuple([(z, count // divisor) for z, count in sorted(counts.items())]))

    @property
    def volume(self) -> float:
        """Volume of the cell in Å³."""
        return abs(float(np.linalg.det(self.lattice)))


def make_crystal(
    numbers: Sequence[int] | NDArray[np.integer],
    lattice: Sequence[Sequence[float]] | NDArray[np.floating],
    positions: Sequence[Sequence[float]] | NDArray[np.floating],
    *,
    cartesian: bool = False,
    max_atoms: int = MAX_ATOMS,
) -> Crystal:
    """Build a crystal that every encoder can take, or say why there is none.

    That no two atoms are on top of each other is not looked at here: ``overlaps.find_overlaps`` does that for many.

    Args:
        numbers: [n], atomic numbers.
        lattice: [3, 3], cell vectors in Å, one a row.
        positions: [n, 3], fractional.
        cartesian: The positions are in Å rather than fractional.
        max_atoms: Largest cell allowed.

    Raises:
        StructureError: No or too many atoms, an unknown element, a value that is not finite, a degenerate cell.
    """
    z = np.asarray(numbers)
    cell = np.asarray(lattice, dtype=np.float64)
    given = np.asarray(positions, dtype=np.float64).reshape(-1, 3)
    if not len(z):
        raise StructureError("no atoms")
    if len(z) > max_atoms:
        raise TooManyAtomsError.of(len(z), max_atoms)
    if len(z) != len(given):
        raise StructureError(f"{len(z)} species but {len(given)} positions")
    if cell.shape != (3, 3):
        raise StructureError(f"a lattice of shape {cell.shape}, not three vectors")
    elements = numbers if isinstance(numbers, list) else z.tolist()  # of a few, Python finds the extremes faster
    if (lightest := min(elements)) < 1 or (heaviest := max(elements)) > len(SYMBOLS):
        raise StructureError(f"atomic number {lightest if lightest < 1 else heaviest}: no such element")
    check_lattice(cell)
    with np.errstate(invalid="ignore", over="ignore"):
        fractional = given @ np.linalg.inv(cell) if cartesian else given
    largest = float(np.abs(fractional).max())
    if not math.isfinite(largest):
        raise StructureError("a position that is not finite numbers")
    if largest > _LARGEST_EDGE_A:
        raise StructureError(f"fractional position {largest:g}", "positions look Cartesian")
    return Crystal(z.astype(np.int16), cell, fractional)


def check_lattice(cell: NDArray[np.float64]) -> None:
    """Refuse what cannot be the cell of a crystal.

    Args:
        cell: float64 [3, 3], cell vectors in Å, one a row.

    Raises:
        StructureError: A value is not finite, an edge is too short or too long, or the vectors lie in a plane.
    """
    vectors = cell.tolist()  # for nine numbers, Python is faster than numpy
    if not all(math.isfinite(value) for vector in vectors for value in vector):
        raise StructureError("a lattice that is not finite numbers")
    edges = [math.hypot(*vector) for vector in vectors]
    if min(edges) < _SMALLEST_EDGE_A or max(edges) > _LARGEST_EDGE_A:
        raise StructureError(
            f"cell edges {', '.join(f'{edge:.3g}' for edge in edges)} Å: not a periodic cell",
            "molecules and slabs without a cell have no crystal embedding",
        )
    (a0, a1, a2), (b0, b1, b2), (c0, c1, c2) = vectors
    volume = abs(a0 * (b1 * c2 - b2 * c1) + a1 * (b2 * c0 - b0 * c2) + a2 * (b0 * c1 - b1 * c0))
    if volume < _FLATTEST * math.prod(edges):
        raise StructureError("the cell vectors lie in a plane")


@dataclass(frozen=True)
class CrystalColumns:
    """Many crystals in flat arrays.

    Attributes:
        offsets: int64 [b + 1]; the atoms of crystal c are ``offsets[c]:offsets[c + 1]``.
        numbers: int16 [atoms].
        lattices: float64 [b, 3, 3] in Å.
        positions: float64 [atoms, 3], fractional.
    """

    offsets: NDArray[np.int64]
    numbers: NDArray[np.int16]
    lattices: NDArray[np.float64]
    positions: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of crystals."""
        return len(self.lattices)

    def __getitem__(self, index: int) -> Crystal:
        """Return one crystal; its arrays are views."""
        atoms = slice(self.offsets[index], self.offsets[index + 1])
        return Crystal(self.numbers[atoms], self.lattices[index], self.positions[atoms])

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Atoms in each crystal, int64 [b]."""
        return np.diff(self.offsets)

    def take(self, rows: NDArray[np.integer] | Sequence[int]) -> Self:
        """Return some of the crystals, in the order given."""
        chosen = np.asarray(rows, dtype=np.int64)
        atoms, offsets = ranges(self.offsets, chosen)
        return type(self)(offsets, self.numbers[atoms], self.lattices[chosen], self.positions[atoms])

    @classmethod
    def of(cls, crystals: Sequence[Crystal]) -> Self:
        """Put crystals into columns."""
        offsets = offsets_of([len(c.numbers) for c in crystals])
        if not crystals:
            return cls(offsets, np.empty(0, np.int16), np.empty((0, 3, 3)), np.empty((0, 3)))
        return cls(
            offsets,
            np.concatenate([c.numbers for c in crystals]),
            np.stack([c.lattice for c in crystals]),
            np.concatenate([c.positions for c in crystals]),
        )

    @classmethod
    def from_arrow(cls, table: pa.Table) -> Self:
        """Read the columns of ``COLUMNS``, none of them null; nothing is parsed."""
        numbers = whole(table["site_atomic_numbers"])
        return cls(
            offsets_of(numbers.value_lengths().to_numpy()),
            numbers.flatten().to_numpy().astype(np.int16, copy=False),
            whole(table["lattice_A"]).flatten().to_numpy().reshape(-1, 3, 3),
            whole(table["fractional_positions"]).flatten().to_numpy().reshape(-1, 3),
        )

    def to_arrow(self) -> pa.Table:
        """Return the columns of ``COLUMNS``."""
        nine = np.arange(0, 9 * len(self) + 1, 9, dtype=np.int32)
        return pa.Table.from_arrays(
            [
                pa.ListArray.from_arrays(self.offsets.astype(np.int32), pa.array(self.numbers)),
                pa.ListArray.from_arrays(nine, pa.array(self.lattices.reshape(-1))),
                pa.ListArray.from_arrays((3 * self.offsets).astype(np.int32), pa.array(self.positions.reshape(-1))),
            ],
            schema=COLUMNS,
        )
