"""What an extrapolation leaves in a folder for people: tables, plots, and all numbers."""

import json
from pathlib import Path

from matlake.errors import LakeError
from matlake.files import write_whole
from matlake.regress.extrapolation.evaluate import ExtrapolationResult
from matlake.regress.extrapolation.markdown import markdown
from matlake.regress.extrapolation.plots import draw_extrapolation_plots


def write_report(result: ExtrapolationResult, folder: Path) -> None:
    """Write ``extrapolation.md``, ``extrapolation.json`` and the plots.

    Args:
        result: What was found.
        folder: Where to; made where it does not exist, files of these names are replaced.

    Raises:
        LakeError: The folder cannot be written.
    """
    files = draw_extrapolation_plots(result)
    files["extrapolation.md"] = markdown(result.report).encode()
    files["extrapolation.json"] = (json.dumps(result.document(), indent=2, ensure_ascii=False) + "\n").encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_whole(folder / name, content)
    except OSError as error:
        raise LakeError(f"cannot write {folder}: {error.strerror}", "name another folder with --output") from error
