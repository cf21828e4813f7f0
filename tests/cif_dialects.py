"""Real crystals written as CIFs in many dialects, faults included, to be read as they are or refused."""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

import gemmi
import numpy as np
from numpy.typing import NDArray

from matlake.materials.crystal import Crystal
from matlake.materials.periodic_table import SYMBOLS

_ANGLES: Final = ("alpha", "beta", "gamma")
_HYDROGEN: Final = 1
_SMALLEST_SHIFT: Final = 1e-3


@dataclass(frozen=True)
class Setting:
    """A crystal in one setting of its space group.

    Attributes:
        crystal: All atoms of the cell.
        group: The space group in this setting.
        sites: Indices of the atoms of an asymmetric unit.
    """

    crystal: Crystal
    group: gemmi.SpaceGroup
    sites: list[int]

    @property
    def counts(self) -> dict[int, int]:
        return dict(Counter(self.crystal.numbers.tolist()))

    @property
    def units(self) -> int:
        return math.gcd(*self.counts.values())

    @property
    def operations(self) -> list[str]:
        return [operation.triplet() for operation in self.group.operations()]

    @property
    def density(self) -> float:
        mass = sum(count * gemmi.Element(z).weight for z, count in self.counts.items())
        return mass * 1.66053907 / self.crystal.volume


@dataclass(frozen=True)
class File:
    """What a CIF says; None for what it leaves out."""

    crystal: Crystal
    sites: list[int]
    labels: list[str]
    name: str | None = None
    hall: str | None = None
    number: int | None = None
    operations: list[str] | None = None
    formula: str | None = None
    units: float | None = None
    density: float | None = None
    types: list[str] | None = None
    structural: str | None = None
    digits: int = 8
    extra: str = ""
    site_columns: dict[str, list[str]] = field(default_factory=dict)
    more_sites: tuple[str, ...] = ()
    dotted: bool = False

    def text(self) -> str:
        edges = np.linalg.norm(self.crystal.lattice, axis=1)
        unit = self.crystal.lattice / edges[:, None]
        angles = [math.degrees(math.acos(unit[i] @ unit[j])) for i, j in ((1, 2), (0, 2), (0, 1))]
        lines = ["data_x"]
        lines += [f"_cell_length_{axis} {edge:.10f}" for axis, edge in zip("abc", edges, strict=True)]
        lines += [f"_cell_angle_{name} {angle:.10f}" for name, angle in zip(_ANGLES, angles, strict=True)]
        for tag, value in (
            ("_symmetry_space_group_name_H-M", self.name),
            ("_symmetry_space_group_name_Hall", self.hall),
            ("_symmetry_Int_Tables_number", self.number),
            ("_chemical_formula_sum", self.formula),
            ("_chemical_formula_structural", self.structural),
            ("_cell_formula_units_Z", self.units),
            ("_exptl_crystal_density_diffrn", self.density),
        ):
            if value is not None:
                lines.append(f"{tag} '{value}'")
        lines.append(self.extra)
        if self.operations is not None:
            lines += ["loop_", "_symmetry_equiv_pos_as_xyz", *[f"'{operation}'" for operation in self.operations]]
        columns = [
            "label",
            *(["type_symbol"] if self.types else []),
            "fract_x",
            "fract_y",
            "fract_z",
            *self.site_columns,
        ]
        lines += ["loop_", *[f"_atom_site_{column}" for column in columns]]
        for row, site in enumerate(self.sites):
            place = " ".join(f"{value:.{self.digits}f}" for value in self.crystal.positions[site] % 1.0)
            others = " ".join(column[row] for column in self.site_columns.values())
            lines.append(f"{self.labels[row]} {self.types[row] + ' ' if self.types else ''}{place} {others}")
        lines += self.more_sites
        text = "\n".join(lines) + "\n"
        for category in ("cell", "atom_site", "symmetry_equiv", "symmetry", "chemical_formula") if self.dotted else ():
            text = text.replace(f"_{category}_", f"_{category}.")
        return text.replace("_symmetry.equiv_pos", "_symmetry_equiv.pos").replace(
            "_symmetry.equiv.", "_symmetry_equiv."
        )


def settings_of(crystal: Crystal, *, most: int = 3) -> Iterator[Setting]:
    """Yield a crystal in settings of its space group that spglib and gemmi both have."""
    import spglib

    cell = (crystal.lattice, crystal.positions, crystal.numbers)
    dataset = spglib.get_symmetry_dataset(cell, symprec=1e-3)
    if dataset is None:
        return
    found = 0
    for hall_number in range(1, 531):
        kind = spglib.get_spacegroup_type(hall_number)
        if kind.number != dataset.number or found == most:
            continue
        one = spglib.get_symmetry_dataset(cell, symprec=1e-3, hall_number=hall_number)
        group = next(
            (g for g in gemmi.spacegroup_table_itb() if g.number == kind.number and g.hall == kind.hall_symbol), None
        )
        if one is None or group is None:
            continue
        refined = Crystal(np.asarray(one.std_types, np.int16), one.std_lattice, one.std_positions % 1.0)
        setting = _asymmetric(refined, group)
        if setting is not None:
            found += 1
            yield setting


def _asymmetric(crystal: Crystal, group: gemmi.SpaceGroup) -> Setting | None:
    """Choose one atom of each orbit; None where the operations do not map the atoms onto each other."""
    left = set(range(len(crystal.numbers)))
    sites = []
    for atom in range(len(crystal.numbers)):
        if atom not in left:
            continue
        sites.append(atom)
        for operation in group.operations():
            image = np.array(operation.apply_to_xyz(crystal.positions[atom].tolist()))
            apart = crystal.positions - image
            apart = np.linalg.norm((apart - np.rint(apart)) @ crystal.lattice, axis=1)
            nearest = int(apart.argmin())
            if apart[nearest] > 5 * _SMALLEST_SHIFT or crystal.numbers[nearest] != crystal.numbers[atom]:
                return None
            left.discard(nearest)
    return Setting(crystal, group, sites)


def plain(setting: Setting) -> File:
    """Return a file that says all: operations, formula, Z, types."""
    numbers = [int(setting.crystal.numbers[site]) for site in setting.sites]
    labels = [f"{SYMBOLS[z - 1]}{row}" for row, z in enumerate(numbers, start=1)]
    return File(
        setting.crystal,
        setting.sites,
        labels,
        operations=setting.operations,
        formula=formula(setting, 1.0 / setting.units),
        units=setting.units,
        types=[SYMBOLS[z - 1] for z in numbers],
    )


def formula(setting: Setting, factor: float, joint: str = " ") -> str:
    return joint.join(f"{SYMBOLS[z - 1]}{count * factor:g}" for z, count in sorted(setting.counts.items()))


def _bare(setting: Setting, **changes: object) -> File:
    return replace(plain(setting), operations=None, **changes)  # type: ignore[arg-type] - names of fields


def _brackets(setting: Setting) -> str:
    parts = [f"{SYMBOLS[z - 1]}{count}" for z, count in sorted(setting.counts.items())]
    return f"({parts[0]} {' '.join(parts[1:])})" if len(parts) > 1 else f"[{parts[0]}]"


def _name(setting: Setting) -> str:
    return str(setting.group.xhm())


def _is_standard(setting: Setting) -> bool:
    standard = gemmi.find_spacegroup_by_number(setting.group.number)
    return bool(standard.hall == setting.group.hall)


_ORGANIC: Final = {"H": "OGEF", "C": "ADEOSM", "N": "EDBAI", "O": "S", "S": "BECN", "P": "BRTO", "F": "E", "I": "NR"}


def _organic_labels(setting: Setting, rng: np.random.Generator) -> File:
    """Call atoms after the Greek letters of molecules or the atoms that they are on: CA2, HO1, NE3."""
    file = plain(setting)
    labels = [
        f"{kind}{rng.choice(list(_ORGANIC[kind]))}{row}" if kind in _ORGANIC else f"{kind}{row}"
        for row, kind in enumerate(file.types or ())
    ]
    return replace(file, labels=labels, types=None)


def _replaced(setting: Setting, rng: np.random.Generator) -> File:
    file = plain(setting)
    types = list(file.types or ())
    row = int(rng.integers(len(types)))
    types[row] = "Zr" if types[row] != "Zr" else "Hf"
    return replace(file, types=types)


def _moved(setting: Setting, group: str) -> str:
    """Return the first site again, 0.6 Å away along a."""
    site = setting.sites[0]
    place = setting.crystal.positions[site] + [0.6 / np.linalg.norm(setting.crystal.lattice[0]), 0.0, 0.0]
    symbol = SYMBOLS[setting.crystal.numbers[site] - 1]
    return f"{symbol}99 {symbol} {' '.join(f'{value:.6f}' for value in place)} {group}"


Made = File | None
Dialect = Callable[[Setting, np.random.Generator], Made]


def _hydrogen_mass(setting: Setting) -> float:
    """Return the mass fraction of hydrogen."""
    masses = {z: count * gemmi.Element(z).weight for z, count in setting.counts.items()}
    return masses.get(_HYDROGEN, 0.0) / sum(masses.values())


def _without_centring(setting: Setting) -> list[str] | None:
    operations = setting.group.operations()
    if len(list(operations.cen_ops)) == 1:
        return None
    return [operation.triplet() for operation in operations.sym_ops]


def _some(setting: Setting, rng: np.random.Generator) -> list[str] | None:
    operations = setting.operations
    if len(operations) < 3:
        return None
    lost = int(rng.integers(1, len(operations)))
    return [operation for place, operation in enumerate(operations) if place != lost]


def _without_sites(file: File, lost: set[int]) -> Made:
    kept = [row for row in range(len(file.sites)) if row not in lost]
    if not kept or len(kept) == len(file.sites):
        return None
    return replace(
        file,
        sites=[file.sites[row] for row in kept],
        labels=[file.labels[row] for row in kept],
        types=[file.types[row] for row in kept] if file.types else None,
    )


def _hydrogen_rows(setting: Setting) -> set[int]:
    return {row for row, site in enumerate(setting.sites) if setting.crystal.numbers[site] == _HYDROGEN}


def _capital_labels(setting: Setting, **changes: object) -> File:
    file = plain(setting)
    return replace(file, labels=[label.upper() for label in file.labels], types=None, **changes)  # type: ignore[arg-type] - names of fields


def _loose_operations(setting: Setting) -> list[str]:
    spaced = [
        ", ".join(reversed([part.replace("+", " + ").upper() for part in reversed(triplet.split(","))]))
        for triplet in setting.operations
    ]
    return [*spaced, *spaced[:2]]


def _whole(setting: Setting) -> File:
    numbers = setting.crystal.numbers.tolist()
    return replace(
        plain(setting),
        sites=list(range(len(numbers))),
        labels=[f"{SYMBOLS[z - 1]}{row}" for row, z in enumerate(numbers)],
        types=[SYMBOLS[z - 1] for z in numbers],
        operations=["x,y,z"],
    )


def _wrong_number(setting: Setting, rng: np.random.Generator) -> int:
    return int((setting.group.number + rng.integers(0, 229)) % 230 + 1)


def _other_origin(setting: Setting) -> str | None:
    return setting.group.hm if setting.group.ext in ("1", "2") else None


def _standard(make: Callable[[Setting], Made]) -> Dialect:
    return lambda s, _: make(s) if _is_standard(s) or s.group.ext in ("1", "2", "H", "R") else None


RIGHT: Final[dict[str, Dialect]] = {
    "all said": lambda s, _: plain(s),
    "operations only": lambda s, _: replace(plain(s), formula=None, units=None),
    "operations loosely written": lambda s, _: replace(plain(s), operations=_loose_operations(s)),
    "identity left out": lambda s, _: replace(plain(s), operations=s.operations[1:]) if len(s.operations) > 1 else None,
    "name with its setting": lambda s, _: _bare(s, name=_name(s), formula=None, units=None),
    "Hall symbol": lambda s, _: _bare(s, hall=s.group.hall, formula=None, units=None),
    "Hall symbol and name": lambda s, _: _bare(s, hall=s.group.hall, name=_name(s)),
    "density instead of Z": lambda s, _: replace(plain(s), units=None, density=f"{s.density:.3f}"),
    "formula of the cell": lambda s, _: replace(plain(s), formula=formula(s, 1.0), units=1),
    "formula of the cell beside Z": lambda s, _: replace(plain(s), formula=formula(s, 1.0)),
    "formula of the cell, structural": lambda s, _: replace(
        plain(s), formula=formula(s, 1.0), structural=formula(s, 1.0 / s.units, "")
    ),
    "formula in brackets": lambda s, _: replace(plain(s), formula=_brackets(s), units=1),
    "formula with commas": lambda s, _: replace(plain(s), formula=formula(s, 1.0 / s.units, ", ")),
    "formula without blanks": lambda s, _: replace(plain(s), formula=formula(s, 1.0 / s.units, "")),
    "formula of decimals": lambda s, _: replace(plain(s), formula=formula(s, 1.0 / len(s.crystal.numbers)), units=None),
    "labels only": lambda s, _: replace(plain(s), types=None),
    "dots in tags": lambda s, _: replace(plain(s), dotted=True),
    "whole cell": lambda s, _: replace(_whole(s), name="P 1", number=1),
    "dummy sites": lambda s, _: replace(
        plain(s),
        site_columns={"calc_flag": ["d"] * len(s.sites)},
        more_sites=("Cg1 . 0.1 0.2 ? dum", "Cg2 Cg . . . dum"),
    ),
    "charges": lambda s, _: replace(
        plain(s), types=[f"{kind}{'3+' if kind != 'O' else '2-'}" for kind in plain(s).types or ()]
    ),
    "deuterium": lambda s, _: (
        replace(plain(s), types=["D" if kind == "H" else kind for kind in plain(s).types or ()])
        if _hydrogen_rows(s)
        else None
    ),
    "Z of another cell, density": lambda s, _: replace(plain(s), units=3 * s.units, density=f"{s.density:.3f}"),
}
"""Dialects that must be read."""

SAFE: Final[dict[str, Dialect]] = {
    "number": _standard(lambda s: _bare(s, number=s.group.number)),
    "number alone": _standard(lambda s: _bare(s, number=s.group.number, formula=None, units=None)),
    "name without origin": lambda s, _: _bare(s, name=name) if (name := _other_origin(s)) else None,
    "name without origin, alone": lambda s, _: (
        _bare(s, name=name, formula=None, units=None) if (name := _other_origin(s)) else None
    ),
    "short name": lambda s, _: _bare(s, name=s.group.short_name()),
    "short name alone": lambda s, _: _bare(s, name=s.group.short_name(), formula=None, units=None),
    "name without axes": lambda s, _: _bare(s, name=s.group.hm, formula=None, units=None),
    "centring missing": lambda s, _: (
        replace(plain(s), operations=left, name=_name(s)) if (left := _without_centring(s)) else None
    ),
    "centring missing, no Z": lambda s, _: (
        replace(plain(s), operations=left, name=_name(s), units=None) if (left := _without_centring(s)) else None
    ),
    "centring missing, no name": lambda s, _: (
        replace(plain(s), operations=left) if (left := _without_centring(s)) else None
    ),
    "centring missing, density": lambda s, _: (
        replace(plain(s), operations=left, number=s.group.number, units=None, density=f"{s.density:.3f}")
        if (left := _without_centring(s))
        else None
    ),
    "operation missing": lambda s, g: (
        replace(plain(s), operations=left, name=_name(s)) if (left := _some(s, g)) else None
    ),
    "operation missing, alone": lambda s, g: replace(plain(s), operations=left) if (left := _some(s, g)) else None,
    "identity only": lambda s, _: replace(plain(s), operations=["x,y,z"], name=_name(s)),
    "identity only, no setting": lambda s, _: replace(plain(s), operations=["x,y,z"], name=s.group.hm),
    "identity only, number": lambda s, _: replace(plain(s), operations=["x,y,z"], number=s.group.number),
    "identity only, no Z": lambda s, _: replace(plain(s), operations=["x,y,z"], name=_name(s), units=None),
    "identity only, nothing stated": lambda s, _: replace(
        plain(s), operations=["x,y,z"], name=_name(s), units=None, formula=None
    ),
    "identity only, no name": lambda s, _: replace(plain(s), operations=["x,y,z"]),
    "whole cell, name kept": lambda s, _: replace(_whole(s), name=_name(s)),
    "whole cell, name kept, no Z": lambda s, _: replace(_whole(s), name=_name(s), units=None),
    "whole cell, name without operations": lambda s, _: replace(_whole(s), name=_name(s), operations=None),
    "no symmetry": lambda s, _: _bare(s),
    "number contradicts name": lambda s, g: _bare(s, name=_name(s), number=_wrong_number(s, g)),
    "number contradicts name, alone": lambda s, g: _bare(
        s, name=_name(s), number=_wrong_number(s, g), formula=None, units=None
    ),
    "labels in capitals": lambda s, _: _capital_labels(s),
    "labels in capitals, no Z": lambda s, _: _capital_labels(s, units=None),
    "labels in capitals, no formula": lambda s, _: _capital_labels(s, formula=None, units=None),
    "labels in small letters": lambda s, _: replace(
        _capital_labels(s), labels=[label.lower() for label in plain(s).labels]
    ),
    "three digits": lambda s, _: replace(plain(s), digits=3),
    "four digits, name": lambda s, _: _bare(s, digits=4, name=_name(s)),
    "hydrogen missing": lambda s, _: _without_sites(plain(s), _hydrogen_rows(s)),
    "hydrogen partly missing": lambda s, _: _without_sites(plain(s), set(list(_hydrogen_rows(s))[:1])),
    "hydrogen missing, formula of the cell": lambda s, _: _without_sites(
        replace(plain(s), formula=formula(s, 1.0), units=None), _hydrogen_rows(s)
    ),
    "hydrogen missing, brackets": lambda s, _: _without_sites(
        replace(plain(s), formula=_brackets(s), units=None), _hydrogen_rows(s)
    ),
    "hydrogen missing, density": lambda s, _: (
        _without_sites(replace(plain(s), formula=None, units=None, density=f"{s.density:.3f}"), _hydrogen_rows(s))
        if s.density < 2.0
        else None
    ),
    "a site missing": lambda s, g: _without_sites(plain(s), {int(g.integers(len(s.sites)))}),
    "Z doubled": lambda s, _: replace(plain(s), units=2 * s.units),
    "alternatives": lambda s, _: replace(
        plain(s),
        formula=None,
        site_columns={"disorder_group": ["1", *["."] * (len(s.sites) - 1)]},
        more_sites=(_moved(s, "2"),),
    ),
    "alternatives without groups": lambda s, _: replace(plain(s), more_sites=(_moved(s, ""),)),
    "attached hydrogen": lambda s, _: (
        replace(
            _without_sites(plain(s), _hydrogen_rows(s)) or plain(s),
            formula=None,
            units=None,
            site_columns={"attached_hydrogens": ["1"] * (len(s.sites) - len(_hydrogen_rows(s)))},
        )
        if 0 < len(_hydrogen_rows(s)) < len(s.sites)
        else None
    ),
    "organic labels": _organic_labels,
    "organic labels, no Z": lambda s, g: replace(_organic_labels(s, g), units=None),
    "organic labels, no formula": lambda s, g: replace(_organic_labels(s, g), units=None, formula=None),
    "element replaced": _replaced,
    "formula of twice an element": lambda s, _: (
        replace(plain(s), formula=f"{formula(s, 1.0)} {SYMBOLS[min(s.counts) - 1]}", units=None)
        if len(s.counts) > 1
        else None
    ),
    "cell of another volume": lambda s, _: replace(plain(s), extra=f"_cell_volume {2 * s.crystal.volume:.3f}"),
}
"""Dialects that must be read as the crystal or refused, never as another one."""


def sites_differ(crystal: Crystal, expected: Crystal) -> str:
    """Say in what two crystals of one cell differ, coordinates of few digits allowed for."""
    if sorted(crystal.numbers.tolist()) != sorted(expected.numbers.tolist()):
        return f"{len(crystal.numbers)} atoms against {len(expected.numbers)}"
    if not np.allclose(
        crystal.lattice @ crystal.lattice.T, expected.lattice @ expected.lattice.T, rtol=1e-6, atol=1e-6
    ):
        return "another cell"
    apart: NDArray[np.float64] = crystal.positions[:, None] - expected.positions[None]
    apart = np.linalg.norm((apart - np.rint(apart)) @ expected.lattice, axis=2)
    apart[crystal.numbers[:, None] != expected.numbers[None]] = np.inf
    return "" if apart.min(axis=1).max() < 0.1 and apart.min(axis=0).max() < 0.1 else "atoms in other places"
