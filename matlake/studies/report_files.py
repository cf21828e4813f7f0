"""What a study leaves in a folder for people: tables, plots, and all numbers."""

import json
from pathlib import Path
from typing import Any, Protocol

from matlake.errors import LakeError
from matlake.files import write_whole


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
