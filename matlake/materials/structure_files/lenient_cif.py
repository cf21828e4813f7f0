"""CIF text that breaks the syntax, split into words as well as it can be.

Words that the syntax has no place for are passed over, such as the second one of a name without quotes. A loop whose
values do not fill its rows is an error, since none of them has a sure place then.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_BLOCK: Final = re.compile(r"^[ \t]*data_(\S*)", re.MULTILINE | re.IGNORECASE)
_BARE: Final = re.compile(r"\S+")
_CLOSING: Final = {quote: re.compile(rf"{quote}(?!\S)") for quote in "'\""}

Items = list[tuple[str, list[str]]]
"""Tags of a block, in lower case and in the order of the file, and the values of each, without quotes."""


class _Word(NamedTuple):
    text: str
    bare: bool = False

    @property
    def is_tag(self) -> bool:
        return self.bare and self.text.startswith("_")

    @property
    def is_loop(self) -> bool:
        return self.bare and self.text.lower().startswith("loop_")


def split_blocks(text: str) -> list[tuple[str, Items]]:
    """Split a CIF into its data blocks, in a time that grows linearly with its length.

    Args:
        text: The file.

    Returns:
        Name and items of each block. The value of a tag without one is ``""``, as with gemmi.

    Raises:
        ValueError: The values of a loop do not fill its rows.
    """
    _, *parts = _BLOCK.split(text)
    return [(name, _items(content)) for name, content in zip(parts[::2], parts[1::2], strict=True)]


def _items(text: str) -> Items:
    items: Items = []
    tags: list[str] = []
    values: list[str] = []
    looped = False
    for word in _words(text):
        if word.is_loop or (word.is_tag and (values or not looped)):
            items += _assigned(tags, values, looped=looped)
            tags, values, looped = [], [], word.is_loop
        if word.is_tag:
            tags.append(word.text.lower())
        elif not word.is_loop:
            values.append(word.text)
    return items + _assigned(tags, values, looped=looped)


def _assigned(tags: list[str], values: list[str], *, looped: bool) -> Items:
    """Give each tag its values: those of a loop in turn, the first one otherwise."""
    if not tags:
        return []
    if not looped:
        return [(tags[0], values[:1] or [""])]
    if len(values) % len(tags):
        raise ValueError(f"{len(values)} values in a loop of {len(tags)} columns, the first of them {tags[0]}")
    return [(tag, values[place :: len(tags)]) for place, tag in enumerate(tags)]


def _words(text: str) -> Iterator[_Word]:
    field: list[str] | None = None  # lines of a text between semicolons
    for line in text.splitlines():
        if not line.startswith(";"):
            if field is None:
                yield from _words_of_line(line)
            else:
                field.append(line)
        elif field is None:
            field = [line[1:].strip()]
        else:
            yield _Word(" ".join(field))
            yield from _words_of_line(line[1:])
            field = None


def _words_of_line(line: str) -> Iterator[_Word]:
    position = 0
    unclosed = ""  # quotes that nothing closes from here to the end of the line
    while found := _BARE.search(line, position):
        start = found.start()
        first = line[start]
        if first == "#":
            return
        if first not in _CLOSING:
            yield _Word(found.group(), bare=True)
            position = found.end()
        elif first not in unclosed and (closing := _CLOSING[first].search(line, start + 1)):
            yield _Word(line[start + 1 : closing.start()])
            position = closing.end()
        else:
            unclosed += first
            position = start + 1
