"""Which properties are one label: names that stand for the same quantity, or for two that the composition relates.

Total energy, formation energy and energy above the hull of a crystal differ by the energies of the elements and of
competing phases, which depend on the composition alone: who has learned one of them for a crystal has had the label of
the others. Stresses and bulk moduli, or forces and phonon frequencies, are related by derivatives, at geometries of
which only one was labelled: they are different labels.
"""

from typing import Final

from matlake.materials.units import quantity_of

_IGNORED: Final = frozenset(
    "per atom peratom fu dft pbe gga pbesol scan r2scan hse optb88vdw final corrected uncorrected calculated computed "
    "measured experimental expt exp mp oqmd jarvis".split()
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
_BY_WORDS: Final = {frozenset(name.split()) - _IGNORED: kind for kind, names in _KINDS.items() for name in names}


def label_kind(column: str) -> str:
    """Return what label a column holds: equal for two columns if whoever knows one of them has had the other's label.

    Args:
        column: Name of a property column, such as ``formation_energy_eV_per_atom``.
    """
    quantity = quantity_of(column).lower()
    words = frozenset(quantity.replace("-", " ").split()) - _IGNORED
    return _BY_WORDS.get(words, quantity)
