"""Data blocks of a CIF, whoever read them, under the names of the core dictionary.

gemmi reads a text that keeps to the syntax, hundreds of times faster than it could be read in Python. One that does
not is split into words in Python.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from matlake.errors import StructureError
from matlake.materials.structure_files.lenient_cif import Items, split_blocks
from matlake.materials.structure_files.text import check_length

if TYPE_CHECKING:
    from gemmi import cif

_GEOMETRY: Final = re.compile(r"_(cell|atom_site|space_group|symmetry)[_.]", re.IGNORECASE)
_DOTTED: Final = ("_cell.", "_site.", "_symop.", "_group.", "_symmetry.", "_equiv.", "_formula.", "_magn", "_moment.")
_SITES: Final = "_atom_site_"
_MOMENTS: Final = "_atom_site_moment"
_POSITIONS: Final = ("_atom_site_fract_", "_atom_site_cartn_")
_MOST_BLOCKS: Final = 20_000
_LENIENT_CHARACTERS: Final = 1 << 18  # a second in Python, and no file of a small crystal is that long


@dataclass(frozen=True)
class Block:
    """One data block. Tags are those of the core dictionary, also where the file has the dots of newer ones.

    Attributes:
        name: Name of the block.
        column: Returns all values of a tag, quotes included; None where it is not there.
        mmcif: Whether its tags have dots, as in mmCIF.
    """

    name: str
    column: Callable[[str], list[str] | None]
    mmcif: bool = False

    def value(self, tag: str) -> str | None:
        """Return the value of a tag, the first of several, quotes included; None where it is not there."""
        column = self.column(tag)
        return column[0] if column else None

    def length(self, tag: str) -> int:
        """Return the number of values of a tag."""
        return len(self.column(tag) or ())


def read_blocks(text: str) -> list[Block]:
    """Split a CIF into its data blocks.

    Raises:
        StructureError: It is not a CIF, or gives a tag of the geometry twice in one block.
    """
    from gemmi import cif

    check_length(len(text))
    try:
        document = cif.read_string(text, check_level=0)
    except (ValueError, RuntimeError) as error:
        return _leniently(text, str(error))
    if len(document) > _MOST_BLOCKS:
        raise StructureError(f"{len(document):,} data blocks, more than {_MOST_BLOCKS:,}", "split the file")
    try:
        document.check_for_duplicates()
    except RuntimeError:
        for block in document:
            _refuse_double_tags(block.name, _tags(block))
    if not len(document):
        raise StructureError("no data block (data_…): not a CIF")
    return [_plain_block(block) if _is_plain(block, text) else _dotted_block(block) for block in document]


def _is_plain(block: "cif.Block", text: str) -> bool:
    """Tell whether the tags of a block have no dots: by the main ones, or else by all of the text."""
    main = (
        block.find_value("_cell_length_a") is not None
        and block.find_loop_item("_atom_site_fract_x") is not None
        and block.find_loop_item("_symmetry_equiv_pos_as_xyz") is not None
    )
    if main and "_magn" not in text and "_moment" not in text:
        return True
    return not any(category in text for category in _DOTTED)


def _plain_block(block: "cif.Block") -> Block:
    """Return a block without dotted tags. To look for a tag costs gemmi less than an index of all tags."""
    columns: dict[str, list[str] | None] = {}
    whole = False  # all columns of the sites are there

    def column(tag: str) -> list[str] | None:
        nonlocal whole
        tag = tag.lower()
        if tag not in columns:
            if whole and tag.startswith(_SITES) and not tag.startswith(_MOMENTS):
                return None
            value = block.find_value(tag)
            item: Any = block.find_loop_item(tag) if value is None else None
            columns[tag] = None if value is None else [value]
            if item is not None:
                width, values = (
                    item.loop.width(),
                    item.loop.values,
                )  # all columns at once: one by one takes as long each
                columns.update({name.lower(): values[place::width] for place, name in enumerate(item.loop.tags)})
                whole |= tag.startswith(_POSITIONS)
        return columns[tag] or None

    return Block(block.name, column)


def _dotted_block(block: "cif.Block") -> Block:
    items: Items = []
    for item in block:
        pair: Any = item.pair
        if pair:
            items.append((pair[0].lower(), [pair[1]]))
        elif (loop := item.loop) is not None:
            width, values = loop.width(), loop.values
            items += [(tag.lower(), values[place::width]) for place, tag in enumerate(loop.tags)]
    return _block_of(block.name, items)


def _block_of(name: str, items: Items) -> Block:
    """Return a block of tags that may have the dot which newer dictionaries put behind the category."""
    values = {tag.replace(".", "_", 1): column for tag, column in reversed(items)}
    mmcif = any(tag == "_cell.length_a" for tag, _ in items)
    return Block(name, lambda tag: values.get(tag.lower()) or None, mmcif)


def _lenient_block(name: str, items: Items) -> Block:
    _refuse_double_tags(name, [tag for tag, _ in items])
    return _block_of(name, items)


def _tags(block: "cif.Block") -> Iterator[str]:
    for item in block:
        pair: Any = item.pair
        yield from [pair[0]] if pair else item.loop.tags if item.loop else []


def _refuse_double_tags(name: str, tags: Iterable[str]) -> None:
    seen: set[str] = set()
    for tag in tags:
        if tag.lower() in seen and _GEOMETRY.match(tag):
            raise StructureError(f"{tag} is there twice in data block {name!r}")
        seen.add(tag.lower())


def _leniently(text: str, reason: str) -> list[Block]:
    """Read what gemmi refuses: letters beyond ASCII in names of blocks, text without quotes or with one too many."""
    if not text.isascii():
        return read_blocks(text.removeprefix("\ufeff").encode("ascii", "replace").decode())
    unreadable = StructureError(f"not a CIF: {reason.removeprefix('string:')}", "the first number is the line")
    if len(text) > _LENIENT_CHARACTERS:
        raise unreadable
    try:
        blocks = split_blocks(text)
    except ValueError as error:
        raise unreadable from error
    if not blocks:
        raise unreadable
    return [_lenient_block(name, items) for name, items in blocks]
