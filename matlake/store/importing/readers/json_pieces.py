"""The values of a JSON text, one after the other, with no more of the text in memory than the value at hand."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from matlake.errors import SourceError
from matlake.store.importing.readers.csv_layout import not_utf8

LARGEST_RECORD: Final = 256 << 20
"""Longest record, in characters."""

CHUNK: Final = 1 << 20
"""Characters that are read at a time, at least."""


class JsonPieces:
    """A JSON text that is read value by value.

    Args:
        path: The file, for messages.
        text: What is in it.
    """

    def __init__(self, path: Path, text: io.TextIOWrapper) -> None:
        """Read nothing yet."""
        self.path = path
        self._text = text
        self._decoder = json.JSONDecoder()
        self._buffer = ""
        self._place = 0

    def not_json(self, why: str) -> SourceError:
        """Return the error for a text that is not JSON."""
        return SourceError(f"{self.path} is not JSON: {why}", "pymatgen's to_json writes it")

    def peek(self) -> str:
        """Return the next character that is not a blank, ``""`` at the end."""
        while True:
            while self._place < len(self._buffer) and self._buffer[self._place] in " \t\r\n":
                self._place += 1
            if self._place < len(self._buffer):
                return self._buffer[self._place]
            if not self._more():
                return ""

    def value(self) -> Any:
        """Read a value."""
        self.peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._place)
            except RecursionError as error:
                raise SourceError(f"{self.path} is nested too deeply") from error
            except ValueError as error:
                if self._more():
                    continue
                raise SourceError(f"{self.path} is not JSON: {error}") from error
            if end == len(self._buffer) and self._more():
                continue  # a number may go on
            self._place = end
            return value

    def array(self) -> Iterator[Any]:
        """Read an array, value by value."""
        self._expect("[")
        if self.peek() == "]":
            self._place += 1
            return
        while True:
            yield self.value()
            if self._expect(",]") == "]":
                return

    def object_keys(self) -> Iterator[str]:
        """Read the keys of an object; the caller reads the value that belongs to each."""
        self._expect("{")
        if self.peek() == "}":
            self._place += 1
            return
        while True:
            key = str(self.value())
            self._expect(":")
            yield key
            if self._expect(",}") == "}":
                return

    def _expect(self, wanted: str) -> str:
        found = self.peek()
        if not found or found not in wanted:
            raise SourceError(f"{self.path} is not JSON: {found or 'the end'!r} where {wanted!r} should be")
        self._place += 1
        return found

    def _more(self) -> bool:
        """Read on, twice as much each time; forget what was read."""
        rest = self._buffer[self._place :]
        if len(rest) > LARGEST_RECORD:
            raise SourceError(f"{self.path} is not JSON, or holds a record of more than {LARGEST_RECORD / 1e6:.0f} MB")
        try:
            more = self._text.read(max(CHUNK, len(rest)))
        except UnicodeDecodeError as error:
            raise not_utf8(self.path, f"it holds the byte 0x{error.object[error.start]:02X}") from error
        self._buffer, self._place = rest + more, 0
        return bool(more)
