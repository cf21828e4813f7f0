"""What a CIF says of symmetry, and all that it can mean.

The operations listed come first, as the standard has it; without them the Hall symbol, the Hermann-Mauguin name and the
number. Where two of them are of different groups, each is a possible meaning: the stated content of the cell settles
it, or the file is refused. The same holds for two origins, and for a list that lacks operations of the group named.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from matlake.errors import StructureError
from matlake.materials.structure_files.cif_blocks import Block
from matlake.materials.structure_files.cif_values import UNKNOWN, unquoted
from matlake.materials.structure_files.group_names import centring_of_name, settings_of_name, settings_of_number
from matlake.materials.structure_files.symmetry import (
    ListedOperations,
    Operations,
    hall_operations,
    operations_of,
    read_operations,
    with_centring,
)

if TYPE_CHECKING:
    import gemmi

_OPERATIONS: Final = ("_space_group_symop_operation_xyz", "_symmetry_equiv_pos_as_xyz")
_HALL: Final = ("_space_group_name_Hall", "_symmetry_space_group_name_Hall")
_NAMES: Final = ("_space_group_name_H-M_alt", "_symmetry_space_group_name_H-M", "_space_group_name_H-M_full")
_NUMBERS: Final = ("_space_group_IT_number", "_symmetry_Int_Tables_number")
_SYSTEMS: Final = ("_space_group_crystal_system", "_symmetry_cell_setting")
_REFERENCES: Final = ("_space_group_name_H-M_ref", "_space_group_name_Schoenflies")  # the setting is not known
_NO_SYMMETRY: Final = frozenset({"triclinic", "p1", "c1^1^", "c1^1", "c1.1", "c1"})
_GROUP_NUMBER: Final = re.compile("[0-9]{1,3}")
_LONGEST_NAME: Final = 200
_LIST_THEM: Final = "list the symmetry operations in the file"


@dataclass(frozen=True)
class Symmetry:
    """Possible symmetries of a crystal.

    Attributes:
        tiers: Groups in tiers: those that fit the cell and the stated content are the meaning; a later tier counts
            only if none before fits.
        ambiguity: Why more than one may fit.
        confirmed: Whether the file needs no stated content beside it.
        given: Whether the file says anything of symmetry.
    """

    tiers: tuple[tuple[Operations, ...], ...]
    ambiguity: str
    confirmed: bool = True
    given: bool = True


@dataclass(frozen=True)
class _Named:
    """Groups that a name, symbol or number means."""

    what: str
    number: int | None
    tiers: tuple[tuple[Operations, ...], ...]


def read_symmetry(block: Block) -> Symmetry:
    """Collect what a block says of symmetry.

    Raises:
        StructureError: An operation cannot be read, operations are missing, or a name or number is not known.
    """
    triplets: tuple[str, ...] = ()
    for tag in _OPERATIONS:
        column = block.column(tag)
        if column is None or column[0] in UNKNOWN:
            continue
        if triplets and read_operations(tuple(column)).operations.keys != read_operations(triplets).operations.keys:
            raise StructureError("two lists of symmetry operations that differ", "keep one of them")
        triplets = triplets or tuple(column)
    symmetry = _symmetry(triplets, _texts(block, _HALL), _texts(block, _NAMES), _texts(block, _NUMBERS))
    if not symmetry.given:
        hints = [
            f"{what} is {text}"
            for what, tags in (("space group", _REFERENCES), ("crystal system", _SYSTEMS))
            for text in _texts(block, tags)
            if text.lower().replace(" ", "") not in _NO_SYMMETRY
        ]
        if hints:
            why = f"the {hints[0]}, and neither operations nor a setting of a space group are given"
            return replace(symmetry, ambiguity=why, confirmed=False)
    return symmetry


def _texts(block: Block, tags: tuple[str, ...]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for tag in tags:
        value = block.value(tag)
        if value and value not in UNKNOWN and (text := unquoted(value[:_LONGEST_NAME])) not in UNKNOWN:
            found[text] = None
    return tuple(found)


@lru_cache(maxsize=1024)
def _symmetry(
    triplets: tuple[str, ...], halls: tuple[str, ...], names: tuple[str, ...], numbers: tuple[str, ...]
) -> Symmetry:
    known, unknown = _named(halls, names, numbers)
    if triplets:
        return _listed(read_operations(triplets), known, names)
    if unknown and not any(one.what.startswith("Hall") for one in known):
        raise StructureError(f"unknown space group {unknown[0][:40]}", _LIST_THEM)
    if not known and halls:
        raise StructureError(f"cannot read Hall symbol {halls[0][:40]!r}", _LIST_THEM)
    if not known:
        return Symmetry(((read_operations(("x,y,z",)).operations,),), "", given=False)
    others = [one for one in known[1:] if not _same_group(known[0].number, one.number)]
    if others:
        together = _unique(group for one in (known[0], *others) for tier in one.tiers[:1] for group in tier)
        return Symmetry((together,), f"{known[0].what} and {others[0].what} are different space groups")
    what = known[0].what
    tiers = known[0].tiers
    many = "origins" if len(tiers[0]) > 1 else "settings"
    return Symmetry(tiers, f"{what} has two {many}, and the file does not say which")


def _named(halls: tuple[str, ...], names: tuple[str, ...], numbers: tuple[str, ...]) -> tuple[list[_Named], list[str]]:
    """Return what Hall symbols, names and numbers mean, in this order, and those that are not known."""
    known, unknown = [], []
    for symbol in halls:
        listed = hall_operations(symbol)
        if listed is not None:
            known.append(_Named(f"Hall symbol {symbol}", listed.number, ((listed.operations,),)))
    for name in names:
        tiers = settings_of_name(name)
        if tiers:
            known.append(_Named(f"space group {name}", tiers[0][0].number, _operations_of(tiers)))
        else:
            unknown.append(name)
    for text in numbers:
        tiers = settings_of_number(int(text)) if _GROUP_NUMBER.fullmatch(text) else ()
        if tiers:
            known.append(_Named(f"space group number {text}", tiers[0][0].number, _operations_of(tiers)))
        else:
            unknown.append(f"number {text}")
    return known, unknown


def _operations_of(tiers: "tuple[tuple[gemmi.SpaceGroup, ...], ...]") -> tuple[tuple[Operations, ...], ...]:
    return tuple([tuple([operations_of(group) for group in tier]) for tier in tiers])


def _listed(listed: ListedOperations, known: list[_Named], names: tuple[str, ...]) -> Symmetry:
    """Hold the operations listed against the groups that the file names."""
    own = listed.operations
    settings = _unique(group for one in known for tier in one.tiers for group in tier)
    if listed.closed and _agrees(listed, known, settings):
        return Symmetry(((own,),), "")
    containing = [group for group in _narrowed(known) if own.keys < group.keys]
    containing = containing or [group for group in settings if own.keys < group.keys]
    centred = [
        group
        for name in names
        if (letter := centring_of_name(name)) and (group := with_centring(own, letter)) is not None
    ]
    if not listed.closed:
        larger = _unique([*containing, *centred])
        if not larger:
            raise StructureError(
                f"the {len(own)} symmetry operations do not form a group: some are missing or wrong",
                "list all of them, or none and the name of the space group",
            )
        why = f"the {len(own)} symmetry operations do not form a group, and {_what(known, names)} has {len(larger[0])}"
        return Symmetry((larger,), why, confirmed=False)
    if not known and not centred:
        return Symmetry(((own,),), "")
    first = tuple([group for one in known for group in one.tiers[0]])
    others = _unique([own, *(containing or first), *centred])
    why = f"{_what(known, names)} is not the group of the {len(own)} symmetry operations listed"
    return Symmetry((others,), why)


def _narrowed(known: list[_Named]) -> list[Operations]:
    """Return the settings that names allow together: a number beside ``P 1 21/c 1`` does not mean ``P 1 21/n 1``."""
    groups: list[Operations] = []
    for place, one in enumerate(known):
        own = [group for tier in one.tiers for group in tier]
        keys = {group.keys for group in own}
        if place and _same_group(known[0].number, one.number):
            groups = [group for group in groups if group.keys in keys] or groups
        else:
            groups += own
    return groups


def _agrees(listed: ListedOperations, known: list[_Named], settings: tuple[Operations, ...]) -> bool:
    """Tell whether the operations are of a group that the file names, in whatever setting."""
    if any(listed.operations.keys == group.keys for group in settings):
        return True
    if listed.number is None:  # an unusual setting: as many operations as the group has
        return any(len(listed.operations) == len(group) for group in settings)
    return any(one.number is not None and _same_group(listed.number, one.number) for one in known)


def _same_group(one: int | None, other: int | None) -> bool:
    """Compare numbers; that of a Hall symbol in an unusual setting is not known."""
    return one is None or other is None or one == other


def _what(known: list[_Named], names: tuple[str, ...]) -> str:
    return known[0].what if known else f"space group {names[0]}"


def _unique(groups: Iterable[Operations]) -> tuple[Operations, ...]:
    """Return each group once, in order."""
    return tuple({group.keys: group for group in groups}.values())
