"""The commands ``evaluate …``."""

from pathlib import Path
from typing import Any

import click

from matlake.cli.evaluate_extrapolation import extrapolation_command
from matlake.cli.evaluate_options import RenamedOption, names, request_of, show, study_options
from matlake.cli.main import EXIT_SOME_ROWS_FAILED
from matlake.cli.output import Output, progress


@click.group("evaluate")
def evaluate_command() -> None:
    """Compare methods of predicting properties, with statistics."""


evaluate_command.add_command(extrapolation_command)


@evaluate_command.command("transfer")
@click.option("--targets", type=names, help="Property columns, comma-separated. Default: all.")
@click.option("--sources", type=names, help="Encoders to transfer from, comma-separated. Default: all ElemNets.")
@click.option(
    "--configs",
    "configurations",
    help="Configurations, comma-separated, such as 'Base,SC:ML(PA),TL:FineTune'. Default: all.",
)
@click.option(
    "--split-column",
    help="Test on the rows where this column says test. Default: a tenth of the compositions.",
)
@click.option(
    "--features",
    "--embedded",
    type=names,
    cls=RenamedOption,
    help="Put embedded layers of crystal encoders beside the others, comma-separated.",
)
@click.option("--small", type=click.IntRange(min=0), help="Try everything on targets of up to so many rows.")
@click.option("--folds", type=click.IntRange(min=0), help="Cross-validate what was chosen in so many folds; 0: not.")
@click.option("--curves/--no-curves", default=True, show_default=True, help="Measure learning curves of the best.")
@click.option("--seed", type=click.IntRange(min=0, max=2**32 - 1), default=0, show_default=True, help="Draw by it.")
@study_options("transfer")
@click.pass_obj
def transfer_command(lake: Path, /, folder: Path | None, output: Output, **options: Any) -> int | None:
    """Compare learning from scratch with transfer from pretrained encoders, property by property.

    Methods are searched on validation rows by successive halving; what wins there is tested. Measurements go to the
    table "evaluations" of the lake: a run that was stopped resumes where it stopped.
    """
    from matlake.store.lake import open_lake
    from matlake.studies.transfer.evaluate import TransferRequest, evaluate_transfer

    request = request_of(TransferRequest, options)
    with progress("evaluating", "measurements") as reporter:
        result = evaluate_transfer(open_lake(lake), request, reporter)
    show(result, folder, output)
    return EXIT_SOME_ROWS_FAILED if result.skipped else None
