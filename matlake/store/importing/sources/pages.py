"""Documents that come page by page, kept until they are all there: an interrupted import goes on after the last page.

An answer is ``{"data": […], "meta": {"total_doc": N}}``.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from matlake.errors import SourceError
from matlake.files import naming, write_whole
from matlake.progress import Progress
from matlake.store.importing.sources.http import RUN_AGAIN

_STARTS: Final = 3

Ask = Callable[[int, int], Any]
"""Given how many documents to skip and how many to send, returns an answer."""


@dataclass
class _State:
    """How far a query is: documents received, bytes that they take, documents announced, the newest date."""

    query: str
    received: int = 0
    size: int = 0
    total: int = -1
    newest: str = ""


class Pages:
    """Documents received, in a file with one a line.

    Args:
        folder: Where the file is; an interrupted import finds it again.
        progress: Hears how many there are.
        dated: Field of the date at which a document was updated.
    """

    def __init__(self, folder: Path, progress: Progress, dated: str) -> None:
        """Read nothing yet."""
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "documents.jsonl"
        self._note = folder / "documents.json"
        self._progress, self._dated = progress, dated
        self.received, self.newest = 0, ""

    def read(
        self,
        ask: Ask,
        limit: int,
        query: str,
        first: int = 0,
        most: int | None = None,
    ) -> None:
        """Ask for all documents of a query, page by page, from where an interrupted import was.

        Args:
            ask: Asks for a page.
            limit: Documents of a page.
            query: Tells one query from another.
            first: How many documents to skip.
            most: How many to take; None for all.

        Raises:
            SourceError: The server refuses, cannot be reached, or sends fewer documents than it announces.
        """
        state = self._resumed(query)
        for _ in range(_STARTS):
            if self._finished(state, ask, limit, first, most):
                self.received, self.newest = state.received, state.newest
                return
            state = _State(query)  # the database has changed meanwhile: pages of both would overlap
        raise SourceError("the database changes while it is read", RUN_AGAIN)

    def _finished(self, state: _State, ask: Ask, limit: int, first: int, most: int | None) -> bool:
        """Receive what a query lacks; return False where another number of documents is announced than before."""
        wanted = None if state.total < 0 else state.total
        while wanted is None or state.received < wanted:
            size = limit if most is None else min(limit, most - state.received)
            documents, total = parts(ask(first + state.received, size))
            total = max(total - first, 0) if most is None else min(max(total - first, 0), most)
            if wanted is not None and total != wanted:
                return False
            wanted = state.total = total
            if not documents and state.received < wanted:
                raise SourceError(f"{wanted:,} documents were announced and {state.received:,} were sent", RUN_AGAIN)
            self._keep(state, documents)
            self._progress.track(state.received, wanted)
        return True

    def _keep(self, state: _State, documents: list[Mapping[str, Any]]) -> None:
        lines = "".join(json.dumps(one) + "\n" for one in documents).encode()
        with naming(self.path), self.path.open("r+b" if self.path.exists() else "w+b") as file:
            file.truncate(state.size)
            file.seek(state.size)
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        state.size += len(lines)
        state.received += len(documents)
        state.newest = max([state.newest, *(date_of(one, self._dated) for one in documents)])
        write_whole(self._note, json.dumps(asdict(state)).encode())

    def _resumed(self, query: str) -> _State:
        try:
            state = _State(**json.loads(self._note.read_bytes()))
            there = self.path.stat().st_size >= state.size
        except (OSError, ValueError, TypeError):
            return _State(query)
        if state.query != query or not there:
            return _State(query)
        if state.received:
            self._progress.note(f"going on after {state.received:,} documents")
        return state


def parts(answer: Any) -> tuple[list[Mapping[str, Any]], int]:
    """Return the documents of an answer, and how many there are in all.

    Raises:
        SourceError: It is no such answer.
    """
    meta = answer.get("meta") if isinstance(answer, dict) else None
    documents = answer.get("data") if isinstance(answer, dict) else None
    total = meta.get("total_doc") if isinstance(meta, dict) else None
    right = isinstance(documents, list) and all(isinstance(one, dict) for one in documents)
    if not right or not isinstance(total, int) or not isinstance(documents, list):
        raise SourceError("the answer does not hold the documents that the interface promises", RUN_AGAIN)
    return documents, total


def date_of(document: Mapping[str, Any], field: str) -> str:
    """Return the date in a field as it is written, ``""`` where there is none."""
    value = document.get(field)
    if isinstance(value, Mapping):
        value = value.get("$date")
    return value if isinstance(value, str) else ""
