"""What is known of a data set that its owners publish as files: where it is, its version, licence and citation."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Final

from matlake.errors import SourceError

CC_BY: Final = "CC BY 4.0"

NOT_KNOWN: Final = "not known; ask its owners"
"""The licence of a data set for which none was found."""

_TABLE: Final = Path(__file__).with_name("published.toml")


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


@cache
def read_table() -> dict[str, Any]:
    """Return the table of published data sets: ``looked_up``, ``units`` and ``sets``."""
    return tomllib.loads(_TABLE.read_text("utf-8"))


def published_sets(source: str) -> dict[str, PublishedSet]:
    """Return the data sets of a source, name -> data set."""
    table = read_table()
    return {row["name"]: _read(row, table) for row in table["sets"] if row["source"] == source}


def unnamed(known: PublishedSet, **changes: Any) -> PublishedSet:
    """Return what is known of a file that is none of the data sets, from what is known of one of them."""
    return replace(known, **{"name": "", "holds": "", "version": "", "files": (), **changes})


def _read(row: Mapping[str, Any], table: Mapping[str, Any]) -> PublishedSet:
    files: tuple[RemoteFile, ...] = ()
    if "url" in row:
        files = (RemoteFile(row["url"], row["file"], row.get("checksum", ""), row.get("listing", "")),)
    units = row.get("units", {})
    return PublishedSet(
        row["source"],
        row["name"],
        row["holds"],
        row.get("version", ""),
        row.get("licence", NOT_KNOWN),
        row["cite"],
        files,
        table["units"][units] if isinstance(units, str) else units,
    )


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
    near = get_close_matches(name.lower(), sets, n=3, cutoff=0.5) if name else []
    meant = f"did you mean {' or '.join(f'{source}:{one}' for one in near)}? " if near else ""
    what = f"{source}: has no data set {name!r}" if name else f"{source}: names no data set"
    raise SourceError(what, f"{meant}Data sets: {', '.join(sets)}. A file that you have: {source}:./FILE")
