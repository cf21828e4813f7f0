"""Records of a web interface, written to disk page by page, so that an interrupted import goes on after the last page.

``records.jsonl`` holds the records, ``ids.jsonl`` their ids, ``cursor.json`` how much of both counts and which page is
next. Each page is on disk before the cursor says so: a crash costs the page that was being received.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from matlake.errors import SourceError
from matlake.files import naming, write_whole
from matlake.platforms import sync
from matlake.progress import Progress
from matlake.store.sources.http import AnswerError, shown

_IDLE_PAGES: Final = 5
"""Pages in a row without anything new, after which a server is taken to send the same for ever."""

_FORGOTTEN: Final = frozenset({400, 403, 404, 410, 413, 422})
"""Statuses of a server that does not have the next page any more, or does not give so many rows at once any more."""

_CURSOR: Final = "cursor.json"
_FAULT: Final = "the fault is the server's; tell its owners"


@dataclass(frozen=True)
class Page:
    """A page of records.

    Attributes:
        records: The records.
        cursor: What names the page that comes after; None after the last.
        total: Number of records in all, if the server states it.
    """

    records: Sequence[Mapping[str, Any]]
    cursor: str | None
    total: int | None = None


@dataclass
class Spool:
    """The records received so far.

    Attributes:
        folder: Where they are.
        id_field: Field of the id that tells records apart.
        head: A line that comes before all records.
        kept: What the source wants to find again when the import goes on; saved with each page.
        rows: Number of records.
        repeated: Number of records that came again, and were left out.
        notes: Remarks for the user.
        resumed: Whether pages of an interrupted import are there.
    """

    folder: Path
    id_field: str = "id"
    head: str = ""
    kept: dict[str, str] = field(default_factory=dict)
    rows: int = 0
    repeated: int = 0
    notes: list[str] = field(default_factory=list)
    resumed: bool = False
    _cursor: str | None = None
    _complete: bool = False
    _lengths: dict[str, int] = field(default_factory=dict)
    _ids: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Take up what an interrupted import has left, and cut off what no cursor counts."""
        if not self._restore():
            self._begin()

    @property
    def path(self) -> Path:
        """The file of the records."""
        return self.folder / "records.jsonl"

    def remarks(self) -> list[str]:
        """Return remarks for the user on how the records came."""
        repeated = [f"{self.repeated:,} rows came more than once and were left out"] if self.repeated else []
        return [*self.notes, *repeated]

    def fill(self, first: str, read: Callable[[str], Page], progress: Progress) -> None:
        """Receive all pages that are not there yet.

        Args:
            first: The cursor of the first page.
            read: Receives the page of a cursor.
            progress: Receives the number of records.

        Raises:
            SourceError: A page cannot be received, or pages come again and again.
        """
        if self._complete:
            return
        cursor = self._cursor or first
        if self.resumed:
            progress.note(f"{self.rows:,} rows are there from before; the import goes on after them")
            try:
                page = read(cursor)
            except AnswerError as error:
                if error.status not in _FORGOTTEN:
                    raise
                page = self._anew(first, read)
                self.notes.append(f"the server does not have the next page any more: the import began anew ({error})")
                cursor = first
        else:
            page = read(cursor)
        self._receive(cursor, page, read, progress)

    def _anew(self, first: str, read: Callable[[str], Page]) -> Page:
        """Receive the first page again; what is there stays where the server refuses that, too."""
        self.kept.clear()
        page = read(first)
        kept = dict(self.kept)
        self._begin()
        self.kept.update(kept)
        return page

    def _receive(self, cursor: str, page: Page, read: Callable[[str], Page], progress: Progress) -> None:
        visited, idle = {cursor}, 0
        while True:
            added = self._add(page)
            progress.track(self.rows, max(self.rows, page.total or 0))
            if page.cursor is None:
                return
            idle = 0 if added else idle + 1
            if page.cursor in visited:
                raise SourceError(f"{_name(page.cursor)}: the page that comes next was there before", _FAULT)
            if idle == _IDLE_PAGES:
                raise SourceError(f"{_name(page.cursor)}: {idle} pages in a row bring nothing new", _FAULT)
            visited.add(page.cursor)
            page = read(page.cursor)

    def _add(self, page: Page) -> int:
        """Write a page, then the cursor behind it; return the number of records that are new."""
        new = [record for record in page.records if self._is_new(record.get(self.id_field))]
        self.repeated += len(page.records) - len(new)
        self.rows += len(new)
        self._append(self.path, new)
        self._append(self._id_file, (record.get(self.id_field) for record in new))
        self._save(page.cursor)
        return len(new)

    def _is_new(self, identifier: Any) -> bool:
        """Take note of an id; a record without one is always new."""
        before = len(self._ids)
        if identifier is not None:
            self._ids.add(str(identifier))
        return identifier is None or len(self._ids) > before

    @property
    def _id_file(self) -> Path:
        return self.folder / "ids.jsonl"

    def _append(self, path: Path, values: Iterable[object]) -> None:
        text = "".join(f"{json.dumps(value, ensure_ascii=False)}\n" for value in values)
        self._write(path, text.encode("utf-8", errors="backslashreplace"))

    def _write(self, path: Path, content: bytes) -> None:
        with naming(path), path.open("ab") as file:
            file.write(content)
            file.flush()
            sync(file.fileno())
        self._lengths[path.name] = self._lengths.get(path.name, 0) + len(content)

    def _save(self, cursor: str | None) -> None:
        self._cursor, self._complete = cursor, cursor is None
        state = {
            "cursor": cursor,
            "rows": self.rows,
            "repeated": self.repeated,
            "kept": self.kept,
            "lengths": self._lengths,
        }
        write_whole(self.folder / _CURSOR, json.dumps(state).encode())

    def _begin(self) -> None:
        for path in (self.folder / _CURSOR, self.path, self._id_file):
            path.unlink(missing_ok=True)
        self.kept.clear()
        self._ids.clear()
        self._lengths.clear()
        self.rows, self.repeated, self.resumed, self._cursor, self._complete = 0, 0, False, None, False
        self._write(self.path, f"{self.head}\n".encode() if self.head else b"")

    def _restore(self) -> bool:
        """Read the state; return False where there is none that the files agree with."""
        try:
            state = json.loads((self.folder / _CURSOR).read_bytes())
            for path in (self.path, self._id_file):
                if path.stat().st_size < state["lengths"][path.name]:
                    return False
                os.truncate(path, state["lengths"][path.name])
            with self._id_file.open(encoding="utf-8") as lines:
                self._ids = {str(identifier) for identifier in map(json.loads, lines) if identifier is not None}
        except (OSError, ValueError, KeyError, TypeError):
            return False
        self.rows, self.repeated, self.kept = state["rows"], state["repeated"], state["kept"]
        self._lengths, self._cursor, self._complete = state["lengths"], state["cursor"], state["cursor"] is None
        self.resumed = True
        return True


def _name(cursor: str) -> str:
    return shown(cursor) if urlsplit(cursor).scheme else cursor
