"""Names and numbers of space groups, and the settings that each can mean; gemmi has the tables."""

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import gemmi

_GROUPS: Final = 230
_ORIGINS: Final = {"S": ":1", "Z": ":2"}  # as the ICSD names the two choices
_ORIGIN: Final = re.compile(r"\s*\(?\s*(?:origin(?:\s*choice)?|O)\s*([12])\)?$", re.IGNORECASE)
_AXES_BEHIND: Final = re.compile(r"\s*:.*$|\s+[HR]$", re.IGNORECASE)
_NUMBER_BEHIND: Final = re.compile(r"\s+\((?:No\.?\s*)?\d{1,3}\)$", re.IGNORECASE)
_AXIS_IN_FULL: Final = re.compile(r"2[1]?/(?=[a-z])")
_CUBIC: Final = re.compile(r"[PFI] (?:2|4|42|41)/[a-z] -3")
_ORTHORHOMBIC: Final = re.compile(r"[A-Z](?: 21?/[a-z]){3}")
_MONOCLINIC_AXES: Final = ("{0} 1 {1} 1", "{0} 1 1 {1}", "{0} {1} 1 1")
_RHOMBOHEDRAL: Final = ("H", "R")


@lru_cache(maxsize=1024)
def settings_of_name(name: str) -> "tuple[tuple[gemmi.SpaceGroup, ...], ...]":
    """Return the settings that a Hermann-Mauguin name can mean.

    Args:
        name: In full or short, with or without blanks, any setting in the tables (``P 21/n``, ``F d -3 m:2``).

    Returns:
        Settings in tiers: the cell decides within one, and a later tier counts only if the cell fits none before.
        Two origins or kinds of axes are one tier. Nothing for an unknown name.
    """
    plain = " ".join(name.replace("_", "").split())
    plain = _ORIGIN.sub(r":\1", plain) if _ORIGIN.search(plain) else plain
    for variant in (plain, _NUMBER_BEHIND.sub("", plain)):
        spelling = variant.replace("(", "").replace(")", "")
        tiers = _found(spelling)
        if tiers:
            return tiers
        short = _shortened(spelling)
        if short != spelling and (tiers := _found(short)):
            return tiers
    return ()


@lru_cache(maxsize=256)
def settings_of_number(number: int) -> "tuple[tuple[gemmi.SpaceGroup, ...], ...]":
    """Return the settings of a space group by its number in the International Tables.

    Returns:
        The standard setting, with both origins or kinds of axes, then all others; nothing for an unknown number.
    """
    import gemmi

    if not 0 < number <= _GROUPS:
        return ()
    standard = _variants(gemmi.find_spacegroup_by_number(number), settled=False)
    known = {group.hall for group in standard}
    others = tuple([group for group in gemmi.spacegroup_table() if group.number == number and group.hall not in known])
    return (standard, others) if others else (standard,)


def centring_of_name(name: str) -> str:
    """Return the letter of a centred cell at the start of a name, even of one that the tables lack; ``""`` for none."""
    letter = name[:1].upper()
    return letter if letter in ("A", "B", "C", "I", "F") and name[1:].strip()[:1] in "-12346mnabcdeMNABCDE(" else ""


def _found(name: str) -> "tuple[tuple[gemmi.SpaceGroup, ...], ...]":
    import gemmi

    body, suffix = name[:-1].rstrip(), name[-1:].upper()
    if suffix in _ORIGINS and len(body) > 1:
        with_origin: gemmi.SpaceGroup | None = gemmi.find_spacegroup_by_name(body + _ORIGINS[suffix])
        if with_origin is not None:
            return ((with_origin,),)
        name = body
    tokens = name.split()
    group: gemmi.SpaceGroup | None = gemmi.find_spacegroup_by_name(name)
    if group is None and len(tokens) != 2:  # noqa: PLR2004 - letter and one axis
        return ()
    if group is not None and len(_AXES_BEHIND.sub("", name).split()) > len(group.hm.split()):
        return ()  # P 3 2 may be P 32 or the start of P 3 2 1
    tiers = [] if group is None else [_variants(group, settled=_settled(name))]
    if len(tokens) == 2:  # noqa: PLR2004 - letter and one axis
        for axes in _MONOCLINIC_AXES:
            other: gemmi.SpaceGroup | None = gemmi.find_spacegroup_by_name(axes.format(*tokens))
            if other is None or other.crystal_system_str() != "monoclinic":
                continue
            if not tiers or (other.number == tiers[0][0].number and all(other.hall != one.hall for (one,) in tiers)):
                tiers.append((other,))
    return tuple(tiers)


def _settled(name: str) -> bool:
    """Tell whether a name says which origin or axes it has."""
    return ":" in name or name[0] in "Hh" or (name[0] in "Rr" and name[-1] in "HhRr")


def _variants(group: "gemmi.SpaceGroup", *, settled: bool) -> "tuple[gemmi.SpaceGroup, ...]":
    """Return a group with its two origins, or both kinds of axes of a rhombohedral one."""
    import gemmi

    choices = ("1", "2") if group.ext in ("1", "2") else _RHOMBOHEDRAL if group.ext in _RHOMBOHEDRAL else ()
    if settled or not choices:
        return (group,)
    found = [gemmi.find_spacegroup_by_name(f"{group.hm}:{choice}") for choice in choices]
    return tuple([one for one in found if one is not None])


def _shortened(name: str) -> str:
    """Return the short name of one written in full: ``F 4/m -3 2/m`` is ``F m -3 m``."""
    if _ORTHORHOMBIC.fullmatch(name):
        return _AXIS_IN_FULL.sub("", name)
    letter, _, axes = name.partition(" ")
    first, _, rest = axes.partition(" ")
    if _CUBIC.match(name):
        first = first.partition("/")[2]
    return f"{letter} {first} {_AXIS_IN_FULL.sub('', rest)}"
