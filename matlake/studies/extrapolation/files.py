"""What an extrapolation leaves in a folder for people: tables, plots, and all numbers."""

from pathlib import Path

from matlake.studies.extrapolation.evaluate import ExtrapolationResult
from matlake.studies.extrapolation.markdown import markdown
from matlake.studies.extrapolation.plots import draw_extrapolation_plots
from matlake.studies.report_files import write_report_files


def write_report(result: ExtrapolationResult, folder: Path) -> None:
    """Write ``extrapolation.md``, ``extrapolation.json`` and the plots.

    Args:
        result: What was found.
        folder: Where to; made where it does not exist, files of these names are replaced.

    Raises:
        LakeError: The folder cannot be written.
    """
    plots = draw_extrapolation_plots(result)
    write_report_files(folder, "extrapolation", markdown(result.report), result.document(), plots)
