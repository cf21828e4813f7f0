"""Disordered structures: sites that several elements share, or that are vacant in part.

They have a composition, which encoders of compositions take, and no arrangement of atoms for encoders of crystals.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import gcd, isfinite, lcm
from typing import Final

from matlake.errors import StructureError
from matlake.materials.formula import Composition, simple_fraction
from matlake.materials.periodic_table import SYMBOLS

WHOLE: Final = 1e-3
"""Occupancies this close to one are one."""

_SIMPLE: Final = 100  # largest denominator of a fraction that 0.333333 or 0.166667 stands for
_THIRD: Final = 5e-4  # thirds and sixths have no exact decimals: files give three digits or more
_DECIMALS: Final = 6
_LARGEST_AMOUNT: Final = 10**6  # of a formula that can be read again
_SHOWN: Final = 4
_SHARED: Final = "disordered: sites that are occupied in part have images at one place"


class DisorderedError(StructureError):
    """A structure is disordered: its composition is known, and encoders of crystals cannot take it.

    Args:
        message: Which site holds what.
        composition: Of the occupied part of all sites; vacancies are not in it.
    """

    def __init__(self, message: str, composition: Composition) -> None:
        """Keep the composition beside the reason."""
        super().__init__(message, "encoders of crystals need one element on every site; those of compositions take it")
        self.composition = composition


def is_ordered(site: Mapping[int, float]) -> bool:
    """Tell whether a site holds one element, fully.

    Args:
        site: Atomic number -> occupancy.
    """
    return len(site) == 1 and abs(next(iter(site.values())) - 1.0) <= WHOLE


def disorder_of(sites: Sequence[Mapping[int, float]], counts: Sequence[int] | None = None) -> DisorderedError:
    """Return the error for a structure with a site that is not ``is_ordered``, or with such sites at one place.

    Args:
        sites: For each site, atomic number -> occupancy; vacancies are left out.
        counts: How many sites of the cell each stands for; by default one.

    Raises:
        StructureError: Occupancies are not between 0 and 1, a site holds more than one atom, or no site holds any.
    """
    counts = counts or [1] * len(sites)
    first = ""
    for site in sites:
        _check(site)
        if not first and not is_ordered(site):
            shares = ", ".join(f"{SYMBOLS[z - 1]} {share:g}" for z, share in list(site.items())[:_SHOWN])
            vacant = sum(site.values()) < 1.0 - WHOLE
            first = f"disordered: a site holds {shares or 'nothing'}{' beside vacancies' if vacant and shares else ''}"
    return DisorderedError(first or _SHARED, composition_of_sites(sites, counts))


def composition_of_sites(sites: Sequence[Mapping[int, float]], counts: Sequence[int]) -> Composition:
    """Return the composition of sites that are occupied in part.

    Occupancies are exact decimals of at most six digits, or the fraction that they round: 0.333 is a third.

    Args:
        sites: For each site, atomic number -> occupancy.
        counts: How many sites of the cell each stands for.

    Raises:
        StructureError: No site holds an atom.
    """
    amounts: dict[int, Fraction] = {}
    for site, count in zip(sites, counts, strict=True):
        for z, share in site.items():
            amounts[z] = amounts.get(z, Fraction(0)) + count * exact_occupancy(share)
    amounts = {z: amount for z, amount in amounts.items() if amount}
    if not amounts:
        raise StructureError("no atoms: all sites are vacant")
    scale = lcm(*[amount.denominator for amount in amounts.values()])
    whole = {z: int(amount * scale) for z, amount in amounts.items()}
    divisor = gcd(*whole.values())
    if max(whole.values()) > _LARGEST_AMOUNT * divisor:
        largest = max(whole.values())
        whole = {z: max(1, round(amount * _LARGEST_AMOUNT / largest)) for z, amount in whole.items()}
        divisor = gcd(*whole.values())
    return Composition(tuple(sorted((z, amount // divisor) for z, amount in whole.items())))


def _check(site: Mapping[int, float]) -> None:
    for z, share in site.items():
        if not (isfinite(share) and 0.0 <= share <= 1.0 + WHOLE):
            raise StructureError(f"a site holds {SYMBOLS[z - 1]} {share:g}: an occupancy lies between 0 and 1")
    if sum(site.values()) > 1.0 + WHOLE:
        shares = ", ".join(f"{SYMBOLS[z - 1]} {share:g}" for z, share in site.items())
        raise StructureError(f"a site holds {shares}: more than one atom")


def exact_occupancy(share: float) -> Fraction:
    """Return the number that an occupancy stands for: 1 for 0.9995, 1/3 for 0.333, else the decimal of six digits."""
    if abs(share - 1.0) <= WHOLE:
        return Fraction(1)
    sixths = Fraction(round(share * 6), 6)
    if sixths.denominator in (3, 6) and abs(float(sixths) - share) <= _THIRD:
        return sixths
    return simple_fraction(share, _SIMPLE, _DECIMALS)
