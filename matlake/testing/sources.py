"""The contract of a source by name: records with a licence, once, however often it is interrupted or repeated."""

import tempfile
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from matlake.progress import Progress
from matlake.store.importing.readers import Source
from matlake.store.importing.readers.source import ID_COLUMNS, usual_column
from matlake.store.sources.protocol import SOURCE_LICENCE, Fetch, Fetched, NamedSource, Opener
from matlake.testing.requirements import no_network, require

_SECRETS: Final = ("password", "api_key", "apikey", "token=", "secret")
_STOPS: Final = (1, 3)


class _StoppedError(Exception):
    """The import is interrupted."""


def check_source(opener: Opener, rest: str, *, network: bool = False) -> None:
    """Check what ``import NAME:REST`` relies on.

    Naming a source opens nothing. It brings rows with ids of their own and a licence; an import that is interrupted is
    taken up again and brings the same rows; a second one brings what is new or changed, which is nothing here; and no
    connection is opened unless a network is allowed.

    Args:
        opener: What the entry point in ``matlake.sources`` stands for.
        rest: What to type after the colon. It names data that is at hand: on the disk, or of a server that the test
            runs on 127.0.0.1.
        network: Whether connections may be opened.

    Raises:
        AssertionError: One of these does not hold.
        SourceError: The source cannot be opened.
    """
    require(callable(opener), f"it is of type {type(opener).__name__}, not a function that makes a source")
    with no_network():
        source, again = opener(rest), opener(rest)
    origin = source.origin
    require(isinstance(origin, str) and origin, "its origin is not a text")
    require(again.origin == origin, "its origin is another one each time: the log of a dataset keeps it")
    require(opener(origin.partition(":")[2]).origin == origin, f"its origin {origin!r} names another source")
    secret = next((word for word in _SECRETS if word in origin.lower()), None)
    require(secret is None, f"its origin holds what looks like a secret ({secret}): the log of a dataset keeps it")
    with tempfile.TemporaryDirectory() as folder, nullcontext() if network else no_network():
        whole = _fetch(opener(rest), Fetch(Path(folder, "whole")))
        rows = _rows(whole.source)
        _check_rows(whole, rows)
        for stop in _STOPS:
            _check_interrupted(opener(rest), Path(folder, f"stopped-{stop}"), stop, rows)
        _check_repeated(opener(rest), Path(folder, "repeated"), whole)


def _fetch(source: NamedSource, fetch: Fetch) -> Fetched:
    fetch.folder.mkdir(exist_ok=True)
    found = source.fetch(fetch)
    if not isinstance(found, Fetched):
        raise AssertionError(f"a first import brings {found!r}, not what a source brings: a Fetched")  # noqa: TRY004
    return found


def _rows(source: Source) -> list[dict[str, Any]]:
    """Return the rows, each with its crystal's hash or what is wrong with it."""
    found = []
    for batch in source.batches():
        rows = batch.columns.to_pylist()
        crystals = [""] * len(rows)
        if batch.crystals is not None:
            crystals = [getattr(one, "content_hash", None) or str(one) for one in batch.crystals]
        found += [{**row, "": crystal} for row, crystal in zip(rows, crystals, strict=True)]
    return found


def _check_rows(fetched: Fetched, rows: list[dict[str, Any]]) -> None:
    require(rows, "it brings no rows")
    column = fetched.id_column or usual_column(fetched.source.schema.names, ID_COLUMNS)
    require(column in fetched.source.schema.names, "its rows have no column of ids: without it they come twice")
    ids = [row[column or ""] for row in rows]
    require(None not in ids and "" not in ids, "a row has no id")
    double = {name for name in ids if ids.count(name) > 1}
    require(not double, f"several rows have the id {', '.join(sorted(map(str, double)))}")
    licensed = all(row.get(SOURCE_LICENCE) for row in rows)
    require(fetched.remembered.licence or licensed, "it states no licence, neither of all rows nor of each")


def _check_interrupted(source: NamedSource, folder: Path, stop: int, rows: list[dict[str, Any]]) -> None:
    heard = 0

    def interrupt(*_: Any) -> None:
        nonlocal heard
        heard += 1
        if heard >= stop:
            raise _StoppedError

    with suppress(_StoppedError):
        _fetch(source, Fetch(folder, progress=Progress(note=interrupt, track=interrupt)))
    taken_up = _rows(_fetch(source, Fetch(folder)).source)
    require(
        taken_up == rows, f"interrupted and taken up again, it brings {len(taken_up)} rows that differ from the others"
    )


def _check_repeated(source: NamedSource, folder: Path, whole: Fetched) -> None:
    fetch = replace(Fetch(folder), before=whole.remembered)
    folder.mkdir()
    found = source.fetch(fetch)
    if found is None:
        return
    brought = _rows(found.source)
    require(
        found.complete or not brought,
        f"a second import brings {len(brought)} rows as new or changed, and nothing is",
    )
    require(found.remembered.origin == whole.remembered.origin, "a second import says that it comes from elsewhere")
