"""The evaluation sets: small real properties of crystals and of compositions, and the materials that they are known of.

A source is one table of materials; a property is one of its columns. Properties of one source share materials, and
with them features, folds and kernels.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from matlake.errors import FormulaError
from matlake.materials.compositions import element_fractions
from matlake.materials.crystal import Crystal
from matlake.materials.formula import Composition, parse_formula
from matlake.materials.structure_files.sniff import parse_structure

Float = NDArray[np.float64]

SEEDS: Final = (0, 1, 2)
LAST_YEAR: Final = 2005
"""Folds by time train up to this year and test later ones."""

TIME_TRAINED: Final = 500
"""Rows drawn for each seed from years up to the last."""
TIME_TESTED: Final = 1000
"""Rows drawn from later years, the same for all seeds: embedding all 10,233 would take most of the time."""

COMPOSITIONS_TRAINED: Final = 1000
"""Rows drawn for each seed from those that are published for training, where they are more."""


@dataclass(frozen=True)
class Property:
    """A column to be predicted.

    Attributes:
        name: As tables show it.
        column: Its column.
        unit: Its unit; ``""`` for none.
        log: Whether it is learned as a logarithm. Errors are in its unit all the same.
    """

    name: str
    column: str
    unit: str
    log: bool


@dataclass(frozen=True, eq=False)
class Source:
    """Materials with properties.

    Attributes:
        name: Of the table, or of the property among the published sets of compositions.
        materials: n crystals or compositions.
        properties: What is known of them.
        values: float64 [n, properties], in their units.
        parts: [n], ``train`` or ``test`` where the rows are published so, or by year; ``""`` elsewhere.
    """

    name: str
    materials: Sequence[Crystal] | Sequence[Composition]
    properties: tuple[Property, ...]
    values: Float
    parts: NDArray[np.str_]

    def __len__(self) -> int:
        """Return the number of materials."""
        return len(self.materials)

    @cached_property
    def compositions(self) -> list[Composition]:
        """The compositions of the materials."""
        return [one.composition if isinstance(one, Crystal) else one for one in self.materials]

    @cached_property
    def formulas(self) -> NDArray[np.str_]:
        """Reduced formulas [n], equal for equal compositions."""
        return np.array([composition.canonical for composition in self.compositions])

    @cached_property
    def fractions(self) -> NDArray[np.float32]:
        """Fractions of the elements, float32 [n, 86]."""
        return element_fractions(self.compositions)

    @property
    def targets(self) -> Float:
        """The values as they are learned: logarithms where the scale is logarithmic."""
        logs = np.array([one.log for one in self.properties])
        return np.where(logs, np.log(np.where(logs, self.values, 1.0)), self.values)

    def in_units(self, learned: Float) -> Float:
        """Return predictions float64 [n, properties] in the properties' units."""
        logs = np.array([one.log for one in self.properties])
        return np.where(logs, np.exp(np.where(logs, learned, 0.0)), learned)

    @property
    def is_crystals(self) -> bool:
        """Whether structures are known."""
        return isinstance(self.materials[0], Crystal)


_CRYSTALS: Final[dict[str, tuple[str, tuple[Property, ...]]]] = {
    "mp_elastic_tensor": (
        "poscar",
        (
            Property("bulk modulus", "bulk_modulus_VRH_GPa", "GPa", log=True),
            Property("shear modulus", "shear_modulus_VRH_GPa", "GPa", log=True),
        ),
    ),
    "mp_dielectric_constant": (
        "poscar",
        (
            Property("refractive index", "refractive_index", "", log=True),
            Property("dielectric constant", "dielectric_total", "", log=True),
            Property("band gap", "band_gap_eV", "eV", log=False),
        ),
    ),
    "mp_piezoelectric_tensor": (
        "poscar",
        (Property("piezoelectric modulus", "piezoelectric_eij_max_C_per_m2", "C/m²", log=True),),
    ),
    "matbench_phonons": ("structure", (Property("last phonon peak", "last_phdos_peak_per_cm", "1/cm", log=True),)),
}
_BY_TIME: Final = "mp_structures"
_TIME_PROPERTIES: Final = (
    Property("formation energy", "formation_energy_eV_per_atom", "eV/atom", log=False),
    Property("band gap, later years", "band_gap_eV", "eV", log=False),
)
_OF_COMPOSITIONS: Final = (
    Property("exfoliation energy", "exfoliation_energy", "meV/atom", log=True),
    Property("piezoelectric modulus d", "piezo_max_dij", "pC/N", log=True),
    Property("measured formation enthalpy", "expt_deltae", "eV/atom", log=False),
    Property("highest infrared mode", "max_ir_mode", "1/cm", log=True),
    Property("solar-cell efficiency", "slme", "%", log=False),
    Property("spin-orbit spillage", "spillage", "", log=False),
    Property("measured band gap", "expt_bandgap", "eV", log=False),
    Property("band gap (mBJ)", "mbj_bandgap", "eV", log=False),
    Property("bulk modulus (compositions)", "bulkmoduluskv", "GPa", log=True),
    Property("energy above hull", "ehull", "eV/atom", log=False),
)
CRYSTAL_SOURCES: Final = tuple(_CRYSTALS)
SOURCES: Final = (*_CRYSTALS, _BY_TIME, *(one.column for one in _OF_COMPOSITIONS))


def load_sources(shared: Path, names: Iterable[str] = SOURCES) -> list[Source]:
    """Read evaluation sets.

    Args:
        shared: The folder of the development data, which holds ``data``.
        names: Of ``SOURCES``.
    """
    return [_load(shared / "data", name) for name in names]


def _load(folder: Path, name: str) -> Source:
    if name == _BY_TIME:
        return _by_time(pq.read_table(folder / f"{name}.parquet"))
    if name in _CRYSTALS:
        column, properties = _CRYSTALS[name]
        return _crystals(name, pq.read_table(folder / f"{name}.parquet"), column, properties)
    found = next(one for one in _OF_COMPOSITIONS if one.column == name)
    rows = pc.equal(pc.field("property"), name)
    return _compositions(pq.read_table(folder / "jarvis_targets.parquet", filters=rows), found)


def _crystals(name: str, table: pa.Table, column: str, properties: tuple[Property, ...]) -> Source:
    crystals = [parse_structure(text) for text in table[column].to_pylist()]
    return Source(name, crystals, properties, _values(table, properties), np.full(len(crystals), ""))


def _by_time(table: pa.Table) -> Source:
    """Draw rows of known year and properties: for each seed some to train on, and the same later ones to test on."""
    for column in ("year", *(one.column for one in _TIME_PROPERTIES)):
        table = table.filter(pc.is_valid(table[column]))
    early = table["year"].to_numpy() <= LAST_YEAR
    rng = np.random.default_rng(SEEDS[0])
    train = np.concatenate([_drawn(np.flatnonzero(early), TIME_TRAINED, seed) for seed in SEEDS])
    test = rng.permutation(np.flatnonzero(~early))[:TIME_TESTED]
    rows = np.concatenate([np.unique(train), np.sort(test)])
    chosen = table.take(rows)
    parts = np.where(early[rows], "train", "test")
    crystals = [parse_structure(text) for text in chosen["cif"].to_pylist()]
    return Source(_BY_TIME, crystals, _TIME_PROPERTIES, _values(chosen, _TIME_PROPERTIES), parts)


def _compositions(table: pa.Table, found: Property) -> Source:
    """Draw training rows for each seed; rows to test on are those published.

    A few formulas have a second reading, such as ``PS``, and are left out.
    """
    parts = np.array(table["split"].to_pylist())
    train = np.concatenate([_drawn(np.flatnonzero(parts == "train"), COMPOSITIONS_TRAINED, seed) for seed in SEEDS])
    rows = np.concatenate([np.unique(train), np.flatnonzero(parts == "test")])
    rows = rows[[_is_formula(text) for text in table["formula"].take(rows).to_pylist()]]
    chosen = table.take(rows)
    compositions = [parse_formula(text) for text in chosen["formula"].to_pylist()]
    values = chosen["value"].to_numpy().astype(np.float64)[:, None]
    return Source(found.column, compositions, (found,), values, parts[rows])


def _is_formula(text: str) -> bool:
    try:
        parse_formula(text)
    except FormulaError:
        return False
    return True


def _drawn(rows: NDArray[np.intp], count: int, seed: int) -> NDArray[np.intp]:
    return np.random.default_rng(seed).permutation(rows)[:count]


def _values(table: pa.Table, properties: Sequence[Property]) -> Float:
    return np.column_stack([table[one.column].to_numpy().astype(np.float64) for one in properties])
