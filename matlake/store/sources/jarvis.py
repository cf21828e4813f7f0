"""``jarvis:NAME``: the data sets that NIST's JARVIS publishes on figshare, and those that it publishes for others."""

from dataclasses import replace
from typing import Any, Final

from matlake.errors import SourceError
from matlake.store.sources.http import Client
from matlake.store.sources.protocol import NamedSource
from matlake.store.sources.published import NOT_KNOWN, PublishedSet, RemoteFile, published_sets, unnamed
from matlake.store.sources.published_files import open_published

SETS: Final = published_sets("jarvis")


def open_jarvis(rest: str) -> NamedSource:
    """Return a data set by its name, or a local copy of one.

    Raises:
        SourceError: There is none.
    """
    return open_published(unnamed(SETS["dft_3d"], licence=NOT_KNOWN), SETS, rest, _with_checksums)


def _with_checksums(client: Client, found: PublishedSet) -> PublishedSet:
    """Ask figshare for the MD5 of a file; a file that it does not list has none."""
    return replace(found, files=tuple(_with_checksum(client, file) for file in found.files))


def _with_checksum(client: Client, file: RemoteFile) -> RemoteFile:
    if not file.listing:
        return file
    try:
        listed: Any = client.json(file.listing, {"page_size": "1000"})
    except SourceError:
        return file
    number = file.url.rpartition("/")[2]
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict) and str(one.get("id")) == number and isinstance(one.get("computed_md5"), str):
            return replace(file, checksum=f"md5:{one['computed_md5']}")
    return file
