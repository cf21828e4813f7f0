"""The check of a source finds each manner in which one can be wrong."""

import itertools
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from matlake.errors import SourceError
from matlake.store.importing.readers import Record, open_records
from matlake.store.sources.protocol import Fetch, Fetched, Remembered
from matlake.testing import check_source

NUMBERS = itertools.count()
ROWS = ("TiO2", "NaCl", "GaN", "PbTe")


@dataclass(frozen=True)
class Listed:
    """Formulas that arrive one by one; what has arrived is kept."""

    rest: str

    @property
    def origin(self) -> str:
        return f"mine:{self.rest}"

    def arrived(self, fetch: Fetch) -> list[str]:
        kept = fetch.folder / "rows.txt"
        found = kept.read_text().split() if kept.exists() else []
        for formula in ROWS[len(found) :]:
            found.append(formula)
            kept.write_text(" ".join(found))
            fetch.progress.track(len(found), len(ROWS))
        return found

    def records(self, found: list[str]) -> Iterator[Record]:
        for number, formula in enumerate(found):
            yield Record({"id": f"m-{number}", "formula": formula}, None, has_structure=False)

    def fetch(self, fetch: Fetch) -> Fetched | None:
        if fetch.before is not None:
            return None
        found = self.arrived(fetch)
        source = open_records(self.origin, lambda _: self.records(found))
        return Fetched(source, Remembered(self.origin, "2026", "CC-BY-4.0"))


def test_a_sound_source_passes() -> None:
    check_source(Listed, "all")


class Doubled(Listed):
    def arrived(self, fetch: Fetch) -> list[str]:
        kept = fetch.folder / "rows.txt"
        before = kept.read_text().split() if kept.exists() else []
        kept.unlink(missing_ok=True)
        return [*before, *super().arrived(fetch)]


class WithoutIds(Listed):
    def records(self, found: list[str]) -> Iterator[Record]:
        return (replace(one, properties={"formula": one.properties["formula"]}) for one in super().records(found))


class OneId(Listed):
    def records(self, found: list[str]) -> Iterator[Record]:
        return (replace(one, properties={**one.properties, "id": "same"}) for one in super().records(found))


class Unlicensed(Listed):
    def fetch(self, fetch: Fetch) -> Fetched | None:
        found = super().fetch(fetch)
        return found and replace(found, remembered=Remembered(self.origin))


class Again(Listed):
    def fetch(self, fetch: Fetch) -> Fetched | None:
        found = super().fetch(replace(fetch, before=None))
        return found and replace(found, complete=fetch.before is None)


class Nothing(Listed):
    def fetch(self, fetch: Fetch) -> Fetched | None:  # noqa: ARG002 - the signature
        return None


class Empty(Listed):
    def records(self, found: list[str]) -> Iterator[Record]:  # noqa: ARG002 - the signature
        yield Record({"id": "m"}, None, has_structure=False)

    def fetch(self, fetch: Fetch) -> Fetched | None:
        found = super().fetch(fetch)
        return found and replace(found, source=replace(found.source, batches=lambda: iter(())))


class Online(Listed):
    def arrived(self, fetch: Fetch) -> list[str]:
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", 9), timeout=0.1).close()
        return super().arrived(fetch)


class Unsteady(Listed):
    @property
    def origin(self) -> str:
        return f"mine:{next(NUMBERS)}"


class Renamed(Listed):
    @property
    def origin(self) -> str:
        return f"mine:{self.rest}x"


class Keyed(Listed):
    @property
    def origin(self) -> str:
        return f"mine:{self.rest.partition('?')[0]}?api_key=1234"


def opening(rest: str) -> Listed:
    with suppress(OSError):
        socket.create_connection(("127.0.0.1", 9), timeout=0.1).close()
    return Listed(rest)


@pytest.mark.parametrize(
    ("opener", "reason"),
    [
        (Doubled, "interrupted and taken up again, it brings|several rows have the id"),
        (WithoutIds, "its rows have no column of ids"),
        (OneId, "several rows have the id same"),
        (Unlicensed, "it states no licence"),
        (Again, "a second import brings 4 rows as new or changed, and nothing is"),
        (Nothing, "a first import brings None"),
        (Empty, "it brings no rows"),
        (Online, "it opens a connection to a network"),
        (opening, "it opens a connection to a network"),
        (Unsteady, "its origin is another one each time"),
        (Renamed, "its origin 'mine:allx' names another source"),
        (Keyed, r"its origin holds what looks like a secret \(api_key\)"),
        (7, "it is of type int, not a function"),
    ],
)
def test_each_fault_is_found(opener: Any, reason: str) -> None:
    with pytest.raises(AssertionError, match=reason):
        check_source(opener, "all")


def test_a_network_may_be_allowed() -> None:
    check_source(Online, "all", network=True)


def test_a_source_that_cannot_be_opened_says_so() -> None:
    def refuse(rest: str) -> Listed:
        raise SourceError(f"there is no {rest}")

    opener: Callable[[str], Listed] = refuse
    with pytest.raises(SourceError, match="there is no nothing"):
        check_source(opener, "nothing")


def test_what_it_keeps_is_gone_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    check_source(Listed, "all")
    assert not list(tmp_path.iterdir())
