"""Which properties are one label: names that stand for the same quantity, or for two that the composition relates.

Total energy, formation energy and energy above the hull of a crystal differ by the energies of the elements and of
competing phases, which depend on the composition alone: who has learned one of them for a crystal has had the label of
the others. Stresses and bulk moduli, or forces and phonon frequencies, are related by derivatives, at geometries of
which only one was labelled: they are different labels.
"""

from collections.abc import Mapping
from typing import Final

from matlake.materials.units import quantity_of, unit_of

_IGNORED: Final = frozenset(
    "per atom peratom fu dft pbe gga pbesol scan r2scan hse mbj optb88vdw final corrected uncorrected calculated "
    "computed measured experimental expt exp mp oqmd jarvis".split()
)
"""Words that say how, where or in what measure a quantity was obtained."""

_KINDS: Final = {
    "energy": (
        *("energy", "total energy", "internal energy", "potential energy", "formation energy", "energy of formation"),
        *("formation enthalpy", "enthalpy of formation", "heat of formation", "delta e", "e form", "cohesive energy"),
        *("atomization energy", "atomisation energy", "energy above hull", "energy above the hull", "e above hull"),
        *("e hull", "ehull", "hull distance", "distance to hull", "hull energy", "decomposition energy"),
        *("decomposition enthalpy", "reaction energy"),
    ),
    "magnetic moment": (
        *("magnetic moment", "magnetic moments", "total magnetic moment", "magmom", "magmoms", "magnetization"),
        *("magnetisation", "total magnetization", "total magnetisation", "magmom oszicar", "magmom outcar"),
    ),
    "stress": ("stress", "stresses", "pressure", "residual pressure"),
    "force": ("force", "forces", "atomic force", "atomic forces"),
}


def _by_words(names_of: Mapping[str, tuple[str, ...]]) -> dict[frozenset[str], str]:
    return {frozenset(name.split()) - _IGNORED: kind for kind, names in names_of.items() for name in names}


_BY_WORDS: Final = _by_words(_KINDS)
_NAMES: Final = _by_words(
    {
        "formation energy": (
            *("formation energy", "energy of formation", "formation enthalpy", "enthalpy of formation"),
            *("heat of formation", "formation heat", "delta e", "deltae", "e form"),
        ),
        "band gap": ("band gap", "bandgap", "gap", "energy gap"),
        "energy above hull": ("energy above hull", "energy above the hull", "e above hull", "e hull", "ehull"),
    }
)
"""Names of one quantity: of the same number, where the units are equal as well."""


def label_kind(column: str) -> str:
    """Return what label a column holds: equal for two columns if whoever knows one of them has had the other's label.

    Args:
        column: Name of a property column, such as ``formation_energy_eV_per_atom``.
    """
    quantity = quantity_of(column).lower()
    words = frozenset(quantity.replace("-", " ").split()) - _IGNORED
    return _BY_WORDS.get(words, quantity)


def same_property(column: str, other: str) -> bool:
    """Return whether two columns hold the same quantity in the same unit, however it was obtained.

    That is stricter than an equal ``label_kind``: a total energy is not a formation energy, and without a unit in both
    names nothing is known.

    Args:
        column: Name of a property column, such as ``formation_energy_eV_per_atom``.
        other: Of another one, such as ``expt_formation_enthalpy_eV_per_atom``.
    """
    unit = unit_of(column)
    return bool(unit) and unit == unit_of(other) and _quantity(column) == _quantity(other)


def _quantity(column: str) -> frozenset[str] | str:
    words = frozenset(quantity_of(column).lower().replace("-", " ").split()) - _IGNORED
    return _NAMES.get(words, words)
