"""Bytes to text, within limits."""

from typing import Final

from matlake.errors import StructureError, TooManyAtomsError

MAX_BYTES: Final = 32 << 20
"""Longest text of one structure that is read: the files of 10,000 atoms have about 2 MB, reflections included 20."""

NOT_PERIODIC: Final = ("not periodic in all three directions", "slabs and molecules have no crystal embedding")
"""What is said of molecules, chains and slabs, with the hint."""


def decode(data: bytes) -> str:
    """Return the text of a file: UTF-8 with or without a mark, UTF-16 with one, else Latin-1.

    Raises:
        StructureError: The file is empty, too large, or no text.
    """
    check_length(len(data))
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = data.decode("utf-16", errors="replace")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
    if "\0" in text:
        raise StructureError("a binary file, not text")
    if not text.strip():
        raise StructureError("an empty file")
    return text


def check_length(length: int) -> None:
    """Refuse a text that is longer than any structure's.

    Raises:
        StructureError: It is.
    """
    if length > MAX_BYTES:
        raise StructureError(f"{length / 1e6:,.0f} MB of text for one structure, more than {MAX_BYTES / 1e6:.0f} MB")


def check_atoms(atoms: int, max_atoms: int) -> None:
    """Refuse a cell of too many atoms before any of them is read.

    Raises:
        TooManyAtomsError: It has more.
    """
    if atoms > max_atoms:
        raise TooManyAtomsError.of(atoms, max_atoms)
