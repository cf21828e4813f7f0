"""What an evaluation leaves in a folder for people: the table, the plots, and all numbers."""

from pathlib import Path

from matlake.studies.report_files import write_report_files
from matlake.studies.transfer.evaluate import TransferResult
from matlake.studies.transfer.markdown import markdown
from matlake.studies.transfer.plots import draw_transfer_plots


def write_report(result: TransferResult, folder: Path) -> None:
    """Write ``transfer.md``, ``transfer.json`` and the plots.

    Args:
        result: What was found.
        folder: Where to; made where it does not exist, files of these names are replaced.

    Raises:
        LakeError: The folder cannot be written.
    """
    plots = draw_transfer_plots(result.measurements, result.report, result.correlations)
    write_report_files(folder, "transfer", markdown(result.report), result.document(), plots)
