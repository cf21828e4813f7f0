"""How a text table is laid out: its encoding, its delimiter, the lines before its rows, the names of its columns."""

import codecs
import csv
import io
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from matlake.errors import SourceError
from matlake.store.importing.readers.streams import open_bytes

HEAD_BYTES: Final = 8 << 20

_DELIMITERS: Final = "\t;|,"
"""In the order of preference where two fit equally well: a comma may be a decimal sign or part of a name."""

_SAMPLE: Final = 50  # rows that must agree with the header
_SEPARATOR_LINE: Final = re.compile(r'"?sep=(.)"?\s*$')
_NUMBER: Final = re.compile(r"\s*[+-]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][+-]?\d+)?\s*$")
_UTF16: Final = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF32: Final = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_ZEROS_SHARE: Final = 8  # text in UTF-16 has a zero in every second or third byte
_SAVE_AS: Final = "save the table as UTF-8"


@dataclass(frozen=True)
class CsvLayout:
    """The layout of a CSV file.

    Attributes:
        encoding: ``utf-8`` or ``utf-16``, as Python names it.
        delimiter: What stands between two fields.
        skipped_lines: Lines before the header: blank, comments, Excel's ``sep=;``.
        skipped_rows: 1 where the header is a row of its own, 0 where it was the last comment.
        names: The names in the header, without blanks around them; empty where a column has none.
    """

    encoding: str
    delimiter: str
    skipped_lines: int
    skipped_rows: int
    names: list[str]


def look_at_csv(path: Path) -> CsvLayout:
    """Find the layout of a CSV file, plain or compressed, from its beginning.

    Raises:
        SourceError: It is neither UTF-8 nor UTF-16 with a byte order mark.
    """
    with open_bytes(path) as stream:
        head = stream.read(HEAD_BYTES)
    encoding, text = _decode(path, head)
    lines = io.StringIO(text, newline="").readlines()
    skipped, delimiter = 0, ""
    while skipped < len(lines) and (not lines[skipped].strip() or lines[skipped].startswith("#")):
        skipped += 1
    if skipped < len(lines) and (named := _SEPARATOR_LINE.match(lines[skipped])):
        delimiter = named.group(1)
        skipped += 1
    comments = [line for line in lines[:skipped] if line.startswith("#")]
    delimiter = delimiter or _delimiter("".join(lines[skipped:]))
    rows = _rows("".join(lines[skipped:]), delimiter, 1)
    header, skipped_rows = (rows[0] if rows else []), 1
    if comments and header and any(_NUMBER.match(cell) for cell in header):
        commented = _rows(comments[-1].removeprefix("#"), delimiter, 1)[0]
        if len(commented) == len(header) and not any(_NUMBER.match(name) for name in commented):
            header, skipped_rows = commented, 0
    return CsvLayout(encoding, delimiter, skipped, skipped_rows, [name.strip() for name in header])


def has_open_quote(path: Path, layout: CsvLayout) -> bool:
    """Tell whether a quote is never closed: their number is odd, so that the last field swallowed the rest."""
    quotes = 0
    with open_bytes(path) as stream:
        while block := stream.read(HEAD_BYTES):
            quotes += block.count(b'"')
    return layout.encoding == "utf-8" and quotes % 2 == 1


def looks_like_data(names: list[str]) -> bool:
    """Tell whether what should be a header is a row of data: it holds a number, or begins with a formula."""
    from matlake.errors import FormulaError
    from matlake.materials.formula import parse_formula

    if any(_NUMBER.match(name) for name in names):
        return True
    try:
        return bool(names) and parse_formula(names[0]) is not None
    except FormulaError:
        return False


def not_utf8(path: Path, where: str) -> SourceError:
    """Return the error for a text in an encoding that bytes alone do not tell, such as Latin-1."""
    return SourceError(f"{path} is not UTF-8: {where}", "save it as UTF-8: a file does not say which encoding it has")


def _decode(path: Path, head: bytes) -> tuple[str, str]:
    if head.startswith(_UTF32):
        raise SourceError(f"{path} is UTF-32", _SAVE_AS)
    if head.startswith(_UTF16):
        return "utf-16", codecs.getincrementaldecoder("utf-16")("replace").decode(head)
    if _ZEROS_SHARE * head.count(b"\0") > len(head):
        raise SourceError(
            f"{path} is not text, or UTF-16 without a byte order mark: it is full of zero bytes", _SAVE_AS
        )
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(head)
    except UnicodeDecodeError as error:
        line = head.count(b"\n", 0, error.start) + 1
        raise not_utf8(path, f"line {line} holds the byte 0x{head[error.start]:02X}") from error
    return "utf-8", text


def _delimiter(text: str) -> str:
    """Return the delimiter that gives most columns while the first rows agree with the header."""
    best, most = ",", 1
    for delimiter in _DELIMITERS:
        counts = [len(row) for row in _rows(text, delimiter, _SAMPLE)]
        if counts and counts[0] > most and 2 * counts.count(counts[0]) >= len(counts):
            best, most = delimiter, counts[0]
    if most > 1:
        return best
    header = text.partition("\n")[0]
    return max(_DELIMITERS[::-1], key=header.count)


def _rows(text: str, delimiter: str, most: int) -> list[list[str]]:
    """Return the first rows that are not blank; fewer where a field is longer than Python's reader takes."""
    found: list[list[str]] = []
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        found.extend(islice((row for row in reader if row), most))
    except csv.Error:
        pass
    return found
