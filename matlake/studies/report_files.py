"""What an evaluation leaves in a folder for people: tables, plots, and all numbers."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matlake.errors import LakeError
from matlake.files import write_whole


def write_report_files(
    folder: Path, name: str, markdown: str, document: Mapping[str, Any], plots: Mapping[str, bytes]
) -> None:
    """Write ``NAME.md``, ``NAME.json`` and the plots.

    Args:
        folder: Where to; made where it does not exist, files of these names are replaced.
        name: Of the evaluation's kind.
        markdown: Its tables.
        document: Its numbers.
        plots: Content by file name.

    Raises:
        LakeError: The folder cannot be written.
    """
    numbers = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    files = {**plots, f"{name}.md": markdown.encode(), f"{name}.json": numbers.encode()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            write_whole(folder / file, content)
    except OSError as error:
        raise LakeError(f"cannot write {folder}: {error.strerror}", "name another folder") from error
