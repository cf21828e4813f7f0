"""``lemat:NAME``: LeMaterial's LeMat-Bulk, one functional at a time, from the Hugging Face Hub.

The Hub lists the files of a revision with their SHA-256.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

import pyarrow.compute as pc

from matlake.errors import SourceError
from matlake.store.importing.readers import Batch, Source
from matlake.store.sources.http import Client, shown
from matlake.store.sources.protocol import NamedSource
from matlake.store.sources.published import PublishedSet, RemoteFile, published_sets, unnamed
from matlake.store.sources.published_files import open_published

_HUB: Final = "https://huggingface.co"
_HUB_VARIABLE: Final = "HF_ENDPOINT"
_REPOSITORY: Final = "LeMaterial/LeMat-Bulk"
_FUNCTIONAL: Final = "functional"

SETS: Final = published_sets("lemat")


def open_lemat(rest: str) -> NamedSource:
    """Return the files of a functional, or local copies of some.

    Raises:
        SourceError: There is no such functional.
    """
    return open_published(unnamed(SETS["pbe"]), SETS, rest, _listed, _one_functional)


def _listed(client: Client, found: PublishedSet) -> PublishedSet:
    """Return the data set with the files of the newest revision."""
    hub = os.environ.get(_HUB_VARIABLE, _HUB).rstrip("/")
    place = f"{hub}/api/datasets/{_REPOSITORY}"
    about: Any = client.json(place)
    revision = str(about.get("sha")) if isinstance(about, dict) else ""
    folder = f"compatible_{found.name}"
    listed: Any = client.json(f"{place}/tree/{revision}/{folder}")
    entries = listed if isinstance(listed, list) else []
    files = sorted((file for one in entries if (file := _file(hub, revision, one))), key=lambda file: file.name)
    if not files:
        raise SourceError(
            f"{shown(place)} lists no files of {folder}", "download the files and name their folder, lemat:./FOLDER"
        )
    return replace(found, version=f"revision {revision[:12]}", files=tuple(files))


def _file(hub: str, revision: str, entry: Any) -> RemoteFile | None:
    path = entry.get("path") if isinstance(entry, dict) else None
    if not isinstance(path, str) or not path.endswith(".parquet"):
        return None
    stored = entry.get("lfs")
    sha256 = stored.get("oid") if isinstance(stored, dict) else None
    url = f"{hub}/datasets/{_REPOSITORY}/resolve/{revision}/{path}"
    return RemoteFile(url, path.replace("/", "-"), f"sha256:{sha256}" if isinstance(sha256, str) else "")


def _one_functional(source: Source, found: PublishedSet) -> Source:
    """Refuse energies of several functionals, which cannot be compared.

    Raises:
        SourceError: While the rows are read: there are several, or another one than was named.
    """
    if _FUNCTIONAL not in source.schema.names:
        return source

    def rows() -> Iterator[Batch]:
        met = {found.name} if found.name in SETS else set()
        for batch in source.batches():
            met |= {name.lower() for name in pc.unique(batch.columns.column(_FUNCTIONAL)).to_pylist() if name}
            if len(met) > 1:
                raise SourceError(
                    f"{source.name} holds several functionals: {', '.join(sorted(met))}",
                    "their energies cannot be compared: write the rows of one functional to a file of their own",
                )
            yield batch

    return replace(source, batches=rows)
