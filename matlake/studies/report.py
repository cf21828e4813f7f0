"""How studies report: tables and notes, written once and printed as text or as Markdown; JSON documents; files."""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from matlake.errors import LakeError
from matlake.files import write_whole
from matlake.text_tables import aligned, markdown_table

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

ABSENT: Final = "–"

_LARGE: Final = 10_000

_JSON_KEYS: Final = {
    "method": "way",
    "methods": "ways",
    "n_outside": "n_unseen",
    "outside_rows": "unseen_rows",
    "outside_mae": "unseen_mae",
    "outside_rmse": "unseen_rmse",
    "low_confidence": "doubted",
}
"""Field -> its key in JSON documents, where scripts of 0.1.0 know it by another name."""


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        heading: Name of each column.
        rows: Cells of each row.
        left: Names of columns that are aligned to the left.
    """

    heading: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: Collection[str]

    def text(self) -> list[str]:
        """Return it as lines of columns."""
        return aligned([self.heading, *self.rows], self._left)

    def markdown(self) -> str:
        """Return it with pipes."""
        return markdown_table([self.heading, *self.rows], self._left)

    @property
    def _left(self) -> set[int]:
        return {place for place, name in enumerate(self.heading) if name in self.left}


@dataclass(frozen=True)
class Notes:
    """Remarks; a list in Markdown, under a title where they have one."""

    lines: Sequence[str]
    title: str = ""

    def text(self) -> list[str]:
        """Return them as lines."""
        first, *more = self.lines or [""]
        return [f"{self.title}: {first}", *more] if self.title else list(self.lines)

    def markdown(self) -> str:
        """Return them as a list, or as sentences after the title."""
        if self.title:
            return f"**`{self.title}`**: {'. '.join(self.lines)}."
        return "\n".join(f"- {line.strip()}" for line in self.lines)


def as_text(*sections: Iterable[Table | Notes]) -> list[str]:
    """Return sections as lines, an empty one between two of them."""
    written = [[line for part in section for line in part.text()] for section in sections]
    first, *others = written or [[]]
    return first + [line for section in others for line in ("", *section)]


def as_markdown(parts: Iterable[Table | Notes | str]) -> str:
    """Return the content of a Markdown file."""
    texts = (part if isinstance(part, str) else part.markdown() for part in parts)
    return "\n\n".join(text for text in texts if text) + "\n"


def document(found: "DataclassInstance") -> dict[str, Any]:
    """Return a report for scripts, under the keys that JSON documents have."""
    return asdict(found, dict_factory=lambda items: {_JSON_KEYS.get(name, name): value for name, value in items})


def number(value: float | None, digits: int = 3) -> str:
    """Return a number in a few digits; a dash where there is none."""
    if value is None:
        return ABSENT
    return f"{value:,.0f}" if abs(value) >= _LARGE else f"{value:.{digits}g}"


def formatted(value: float | None, form: str) -> str:
    """Return a number in a format; a dash where there is none."""
    return ABSENT if value is None else format(value, form)


def interval_text(ends: tuple[float, float] | None) -> str:
    """Return the ends of an interval."""
    return "" if ends is None else f"[{number(ends[0])}, {number(ends[1])}]"


class StudyResult(Protocol):
    """What a study found."""

    @property
    def study(self) -> str:
        """Name of the kind of study, and of its files."""

    def document(self) -> dict[str, Any]:
        """Return its numbers."""

    def lines(self) -> list[str]:
        """Return the same for people."""

    def markdown(self) -> str:
        """Return its tables."""

    def plots(self) -> dict[str, bytes]:
        """Return its plots by file name."""


def write_report(result: StudyResult, folder: Path) -> None:
    """Write ``STUDY.md``, ``STUDY.json`` and the plots.

    Args:
        result: What was found.
        folder: Where to; made where it does not exist, files of these names are replaced.

    Raises:
        LakeError: The folder cannot be written.
    """
    numbers = json.dumps(result.document(), indent=2, ensure_ascii=False) + "\n"
    texts = {f"{result.study}.md": result.markdown(), f"{result.study}.json": numbers}
    files = result.plots() | {name: text.encode() for name, text in texts.items()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_whole(folder / name, content)
    except OSError as error:
        raise LakeError(f"cannot write {folder}: {error.strerror}", "name another folder") from error
