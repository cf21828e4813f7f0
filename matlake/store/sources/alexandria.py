"""``alexandria:NAME``: the numbered files of the Alexandria database, as its folders list them.

Folders and names of files are those of https://alexandria.icams.rub.de; units are those that its OPTIMADE interface
states.
"""

import re
from dataclasses import replace
from typing import Final
from urllib.parse import urljoin

from matlake.errors import SourceError
from matlake.store.sources.http import Client, shown
from matlake.store.sources.protocol import NamedSource
from matlake.store.sources.published import PublishedSet, RemoteFile, choose, published_sets, unnamed
from matlake.store.sources.published_files import PublishedFiles, is_path, open_published

ROOT: Final = "https://alexandria.icams.rub.de/data"

_VERSION: Final = re.compile(r"\d{4}\.\d{2}\.\d{2}")
_LINK: Final = re.compile(r"""href=["']([^"'?#]+)["']""", re.IGNORECASE)
_FILE: Final = re.compile(r"alexandria_(?:[a-z0-9]+_)?\d+\.json\.bz2")

SETS: Final = published_sets("alexandria")


def open_alexandria(rest: str) -> NamedSource:
    """Return the files of a functional, ``pbe`` or ``pbe@2024.12.15``, or local copies of some.

    Raises:
        SourceError: There is no such functional.
    """
    name, _, version = rest.partition("@")
    if not version or is_path(name):
        return open_published(unnamed(SETS["pbe"]), SETS, rest, _listed)
    if not _VERSION.fullmatch(version):
        raise SourceError(f"alexandria: {version!r} is not a version", "write it as in alexandria:pbe@2024.12.15")
    chosen = choose(SETS, "alexandria", name)
    return PublishedFiles(f"{chosen.spec}@{version}", lambda client: _listed(client, chosen, version))


def _listed(client: Client, found: PublishedSet, version: str = "") -> PublishedSet:
    """Return the data set with the files that its folder lists, of the version asked for or the newest."""
    folder = f"{ROOT}/{found.name}/"
    names = _links(client, folder)
    versions = sorted(name for name in names if _VERSION.fullmatch(name))
    if version and version not in versions:
        raise SourceError(f"alexandria:{found.name} has no version {version}", f"versions: {', '.join(versions)}")
    if versions:
        version = version or versions[-1]
        folder = f"{folder}{version}/"
        names = _links(client, folder)
    files = sorted(name for name in names if _FILE.fullmatch(name))
    if not files:
        raise SourceError(
            f"{shown(folder)} lists no files of Alexandria",
            "its folders may have moved: download the files and name their folder, alexandria:./FOLDER",
        )
    prefix = f"{version}-" if version else ""
    remote = tuple(RemoteFile(urljoin(folder, name), f"{prefix}{name}") for name in files)
    return replace(found, version=version, files=remote)


def _links(client: Client, folder: str) -> list[str]:
    """Return the names of the files and folders that a folder links to."""
    return [link.rstrip("/").rpartition("/")[2] for link in _LINK.findall(client.text(folder))]
