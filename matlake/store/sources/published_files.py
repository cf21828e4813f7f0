"""Published data sets as sources by name: from the files at their addresses, or from copies that the user has."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from matlake.errors import SourceError
from matlake.store.importing.readers import Source, open_source
from matlake.store.sources.columns import chained, with_units
from matlake.store.sources.downloads import cache_folder, digest, fetch, forget, verified
from matlake.store.sources.http import Client
from matlake.store.sources.protocol import Fetch, Fetched, NamedSource, Remembered
from matlake.store.sources.published import PublishedSet, choose

_ENDINGS: Final = (".json", ".jsonl", ".parquet")
_PACKED: Final = (".zip", ".gz", ".bz2", ".xz", ".zst")

Finish = Callable[[Source, PublishedSet], Source]
"""What a source does with the rows of its data sets, besides naming units."""


def _as_it_is(source: Source, _: PublishedSet) -> Source:
    return source


@dataclass(frozen=True)
class PublishedFiles:
    """A data set that is downloaded.

    Attributes:
        origin: How it is named.
        find: Returns the data set, with its files; may ask a server which those are.
        finish: Completes its rows.
    """

    origin: str
    find: Callable[[Client], PublishedSet]
    finish: Finish = _as_it_is

    def fetch(self, work: Fetch) -> Fetched | None:
        """Download what is not in the cache, and open it.

        Raises:
            SourceError: The server cannot be reached, refuses, or sends something else.
        """
        client = work.client(None, work.progress.note)
        found = self.find(client)
        folder = cache_folder(found.source)
        paths = [fetch(client, file, folder, work.progress) for file in found.files]
        unchecked = {file.name for file in found.files if not file.checksum}
        return _opened(self, found, paths, work, unchecked)


@dataclass(frozen=True)
class LocalCopy:
    """Files of a data set that the user has.

    Attributes:
        origin: The data set; no path of this machine.
        found: What is known of it.
        paths: The files.
        finish: Completes its rows.
    """

    origin: str
    found: PublishedSet
    paths: Sequence[Path]
    finish: Finish = _as_it_is

    def fetch(self, work: Fetch) -> Fetched | None:
        """Open the files.

        Raises:
            SourceError: One of them is damaged, or is not the published one.
        """
        checksums = {file.name: file.checksum for file in self.found.files}
        for path in self.paths:
            checksum = checksums.get(path.name)
            if checksum and not verified(path, checksum):
                raise SourceError(
                    f"{path} does not have the published checksum {checksum} of {self.origin}", "download it again"
                )
        return _opened(self, self.found, self.paths, work, set())


def open_published(
    unknown: PublishedSet,
    sets: Mapping[str, PublishedSet],
    rest: str,
    find: Callable[[Client, PublishedSet], PublishedSet] = lambda _, found: found,
    finish: Finish = _as_it_is,
) -> NamedSource:
    """Return the source that ``NAME`` or a path names.

    Args:
        unknown: What is known of a local file that no data set of the table has.
        sets: Name -> data set.
        rest: What stands behind the source's name.
        find: Completes a data set, by asking a server.
        finish: Completes its rows.

    Raises:
        SourceError: There is none of that name, or no file at the path.
    """
    if is_path(rest):
        return local_copy(unknown, sets, Path(rest), finish)
    chosen = choose(sets, unknown.source, rest)
    return PublishedFiles(chosen.spec, lambda client: find(client, chosen), finish)


def is_path(rest: str) -> bool:
    """Tell whether a path was given, ``./FILE``, rather than a name."""
    return "/" in rest or "\\" in rest or rest.startswith((".", "~")) or rest.lower().endswith((*_ENDINGS, *_PACKED))


def local_copy(
    unknown: PublishedSet, sets: Mapping[str, PublishedSet], path: Path, finish: Finish = _as_it_is
) -> LocalCopy:
    """Return the files at a path as a data set: that of the table with files of these names, or an unknown one.

    Raises:
        SourceError: There is no file, or there are files of several data sets.
    """
    path = path.expanduser()
    if path.is_dir():
        paths = sorted(one for one in path.iterdir() if _is_data(one.name))
    else:
        paths = [path] if path.is_file() else []
    if not paths:
        hint = f"data sets: {', '.join(sets)}" if sets else "name a file, or a folder of files"
        raise SourceError(f"no file of {unknown.source} at {path}", hint)
    names = {one.name for one in paths}
    known = [one for one in sets.values() if names & {file.name for file in one.files}]
    if len(known) > 1:
        raise SourceError(f"{path} holds several data sets: {', '.join(one.name for one in known)}", "name one file")
    found = known[0] if known else replace(unknown, name=path.name)
    return LocalCopy(found.spec, found, paths, finish)


def _is_data(name: str) -> bool:
    plain = name.lower()
    for ending in _PACKED:
        plain = plain.removesuffix(ending)
    return plain.endswith(_ENDINGS) and not name.startswith(".")


def _opened(
    named: PublishedFiles | LocalCopy, found: PublishedSet, paths: Sequence[Path], work: Fetch, unchecked: set[str]
) -> Fetched | None:
    """Open files as one source; None where the dataset has their rows already.

    Args:
        named: What was asked for.
        found: What is known of it.
        paths: The files.
        work: What the import gives to work with.
        unchecked: Files that were downloaded without a checksum: one that cannot be read is not kept.
    """
    marks = {path.name: digest(path) for path in paths}
    if work.before is not None and dict(work.before.marks) == marks:
        return None
    sources = []
    for path in paths:
        if len(paths) > 1:
            work.progress.note(f"reading {path.name}")
        try:
            sources.append(open_source(path, max_atoms=work.max_atoms))
        except SourceError as error:
            if path.name not in unchecked:
                raise
            forget(path)
            raise SourceError(
                f"{error}; the downloaded copy was removed", "import again to download it anew"
            ) from error
    source = named.finish(with_units(chained(named.origin, sources), found.units), found)
    known = f"version {found.version}, " if found.version else ""
    source.notes.append(f"{found.spec}: {known}licence {found.licence}; cite {found.citation}")
    if unchecked:
        more = ", …" if len(unchecked) > 1 else ""
        source.notes.append(f"no checksum was found for {min(unchecked)}{more}")
    version = found.version or datetime.now(UTC).date().isoformat()
    return Fetched(source, Remembered(named.origin, version, found.licence, marks), total=source.rows)
