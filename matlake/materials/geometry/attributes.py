"""The attributes of the structural descriptor ``geometry``.

They are numbers of a crystal that do not depend on how its cell, its origin and the order of its atoms were chosen, and
that move little when atoms do.
"""

import math
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from matlake.materials.crystal import CrystalColumns
from matlake.materials.geometry import angles, connectivity, electrostatics, radial, surroundings
from matlake.materials.geometry.elements import TABLE
from matlake.materials.geometry.smooth import eigenvalues
from matlake.materials.kernels import kernel
from matlake.materials.neighbours import plain, search
from matlake.materials.pair_graphs import kernel_arrays

STATISTICS: Final = ("mean", "minimum", "maximum", "deviation")
"""Over the atoms of the cell; the deviation is the standard deviation."""

CELL: Final = (
    ("volume per atom", "Å³"),
    ("log volume per atom", "log Å³"),
    ("density", "g/cm³"),
    ("log density", "log u/Å³"),
    ("packing fraction of covalent spheres", "1"),
    ("log packing fraction of covalent spheres", "1"),
    ("smallest share of contact directions", "1"),
    ("middle share of contact directions", "1"),
    ("largest share of contact directions", "1"),
    ("log k d² of springs per volume", "log Å^-1"),
    ("log valence d² of bonds per volume", "log Å^-1"),
)
"""Of the cell as a whole. Shares of contact directions are the eigenvalues of the mean of r̂ r̂ᵀ over contacts: 1/3
each in a cubic crystal, and one near 0, across the layers, in a layered one."""

ATTRIBUTES: Final[tuple[tuple[str, str], ...]] = (
    *CELL,
    *((f"{statistic} {name}", unit) for name, unit in surroundings.NAMES for statistic in STATISTICS),
    *angles.NAMES,
    *radial.NAMES,
    *electrostatics.NAMES,
    *connectivity.NAMES,
)
"""Names and units, in the order of the vector."""

_GRAMS: Final = 1.66053906660  # g/cm³ in u/Å³
_SPHERE: Final = 4.0 * math.pi / 3.0


@dataclass(frozen=True)
class GeometryAttributes:
    """The attributes of many crystals; stands where the graphs of other encoders do.

    Attributes:
        attributes: float64 [b, d], columns ``ATTRIBUTES``.
    """

    attributes: NDArray[np.float64]

    def __len__(self) -> int:
        """Return the number of crystals."""
        return len(self.attributes)

    @property
    def edges(self) -> NDArray[np.int64]:
        """What a run of the encoder costs: the same for every crystal, int64 [b]."""
        return np.ones(len(self), dtype=np.int64)

    @property
    def widest(self) -> NDArray[np.int64]:
        """No tables are padded: ones, int64 [b]."""
        return np.ones(len(self), dtype=np.int64)

    def take(self, rows: NDArray[np.integer]) -> Self:
        """Return the attributes of some of the crystals, in the order given."""
        return type(self)(self.attributes[rows])


def describe_geometry(crystals: CrystalColumns, cutoff: float) -> GeometryAttributes:
    """Compute the attributes of crystals of the elements H to Cm.

    Args:
        crystals: The crystals.
        cutoff: Of the neighbours, in Å.
    """
    attributes = np.empty((len(crystals), len(ATTRIBUTES)))
    _describe(*kernel_arrays(crystals), plain(TABLE), float(cutoff), attributes)
    return GeometryAttributes(attributes)


@kernel
def _describe(offsets, numbers, lattices, positions, table, cutoff, attributes):
    for c in range(len(lattices)):
        a, b = offsets[c], offsets[c + 1]
        z = numbers[a:b]
        first, neighbours, shifts, vectors, _, _ = search(lattices[c], positions[a:b], cutoff, 0, 0.0)
        atoms, weights, total = surroundings.surroundings(z, first, neighbours, vectors, table, cutoff)
        place = _cell(z, lattices[c], table, total, attributes[c])
        place = _statistics(atoms, attributes[c], place)
        attributes[c, place : place + 5] = angles.angle_counts(first, vectors, weights)
        place += 5
        attributes[c, place : place + 5] = radial.radial_counts(z, first, neighbours, vectors, table, cutoff)
        place += 5
        attributes[c, place : place + 2] = electrostatics.electrostatics(z, first, neighbours, vectors, table, cutoff)
        place += 2
        attributes[c, place:] = connectivity.connectivity(z, first, neighbours, shifts, vectors, table)


@kernel
def _cell(numbers, lattice, table, total, row):
    """Enter the attributes ``CELL`` and return their number; ``total`` as ``surroundings`` returns it."""
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = lattice
    volume = abs(ax * (by * cz - bz * cy) + ay * (bz * cx - bx * cz) + az * (bx * cy - by * cx))
    mass = spheres = 0.0
    for z in numbers:
        mass += table[z, 0]
        spheres += _SPHERE * table[z, 1] ** 3
    row[0] = volume / len(numbers)
    row[1] = math.log(volume / len(numbers))
    row[2] = _GRAMS * mass / volume
    row[3] = math.log(mass / volume)
    row[4] = spheres / volume
    row[5] = math.log(spheres / volume)
    row[6:9] = eigenvalues(total[:6] / total[6])
    row[9] = math.log(total[7] / volume)
    row[10] = math.log(total[8] / volume)
    return 11


@kernel
def _statistics(values, row, place):
    """Enter mean, minimum, maximum and deviation of each column of values [n, a], and return the next place."""
    n = len(values)
    for column in range(values.shape[1]):
        mean, least, most = 0.0, np.inf, -np.inf
        for i in range(n):
            mean += values[i, column] / n
            least = min(least, values[i, column])
            most = max(most, values[i, column])
        square = 0.0
        for i in range(n):
            square += (values[i, column] - mean) ** 2 / n
        row[place] = mean
        row[place + 1] = least
        row[place + 2] = most
        row[place + 3] = math.sqrt(square)
        place += 4
    return place
