"""What an evaluation leaves in a folder for people: the table, the plots, and all numbers."""

import json
from pathlib import Path

from matlake.errors import LakeError
from matlake.files import write_whole
from matlake.regress.transfer.evaluate import TransferResult
from matlake.regress.transfer.markdown import markdown
from matlake.regress.transfer.plots import draw_transfer_plots


def write_report(result: TransferResult, folder: Path) -> None:
    """Write ``transfer.md``, ``transfer.json`` and the plots.

    Args:
        result: What was found.
        folder: Where to; made where it does not exist, files of these names are replaced.

    Raises:
        LakeError: The folder cannot be written.
    """
    files = draw_transfer_plots(result.measurements, result.report, result.correlations)
    files["transfer.md"] = markdown(result.report).encode()
    files["transfer.json"] = (json.dumps(result.document(), indent=2, ensure_ascii=False) + "\n").encode()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            write_whole(folder / name, content)
    except OSError as error:
        raise LakeError(f"cannot write {folder}: {error.strerror}", "name another folder with --output") from error
