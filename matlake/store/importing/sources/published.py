"""What is known of a data set that its owners publish as files: where it is, its version, licence and citation."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final

from matlake.errors import SourceError

LOOKED_UP: Final = "2026-11-28"
"""When the addresses, checksums, licences and citations of the tables were looked up."""

NOT_KNOWN: Final = "not known; ask its owners"
"""The licence of a data set for which none was found."""

CC_BY: Final = "CC BY 4.0"


@dataclass(frozen=True)
class RemoteFile:
    """A file to download.

    Attributes:
        url: Where it is.
        name: What it is called here; its ending says what it is.
        checksum: ``sha256:…`` or ``md5:…`` as the publisher states it; ``""`` where none is stated.
        listing: Where its publisher lists checksums; ``""`` for nowhere.
    """

    url: str
    name: str
    checksum: str = ""
    listing: str = ""


@dataclass(frozen=True)
class PublishedSet:
    """A data set.

    Attributes:
        source: The source that it belongs to, ``jarvis``.
        name: As typed after the source, ``dft_3d``.
        holds: What it holds, for people.
        version: Version, or date of the file.
        licence: As its owners state it.
        citation: What to cite.
        files: Its files.
        units: Column as published -> column with its unit, where the documentation fixes the unit.
    """

    source: str
    name: str
    holds: str
    version: str
    licence: str
    citation: str
    files: tuple[RemoteFile, ...]
    units: Mapping[str, str] = field(default_factory=dict)

    @property
    def spec(self) -> str:
        """How it is named in an import."""
        return f"{self.source}:{self.name}"


def choose(sets: Mapping[str, PublishedSet], source: str, name: str) -> PublishedSet:
    """Return a data set by its name.

    Args:
        sets: Name -> data set.
        source: The source that they belong to, for messages.
        name: As typed.

    Raises:
        SourceError: There is none of that name; the message suggests near ones.
    """
    if name in sets:
        return sets[name]
    near = get_close_matches(name, sets, n=3, cutoff=0.5) if name else []
    meant = f"did you mean {' or '.join(f'{source}:{one}' for one in near)}? " if near else ""
    what = f"{source}: has no data set {name!r}" if name else f"{source}: names no data set"
    raise SourceError(what, f"{meant}Data sets: {', '.join(sets)}. A file that you have: {source}:./FILE")
