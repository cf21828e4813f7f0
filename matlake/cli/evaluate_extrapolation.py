"""The command ``evaluate extrapolation``."""

from pathlib import Path
from typing import Any, Final

import click

from matlake.cli.evaluate_options import RenamedOption, names, request_of, show, study_options
from matlake.cli.main import EXIT_SOME_ROWS_FAILED
from matlake.cli.output import Output, progress
from matlake.networks.architectures import GRAPH_NETWORKS

_STARTS: Final = ("scratch", "fine-tune")


def feature_sets(text: str) -> tuple[tuple[str, ...], ...]:
    """Return the sets of features that semicolons separate."""
    return tuple(names(one) for one in text.split(";") if one.strip())


def network_starts(text: str) -> tuple[str, ...]:
    """Return how networks start."""
    unknown = [start for start in names(text) if start not in _STARTS]
    if unknown:
        raise click.UsageError(f"--starts takes {' and '.join(_STARTS)}, not {', '.join(unknown)}")
    return names(text)


@click.command("extrapolation")
@click.option("--target", required=True, help="Predict this numeric property column.")
@click.option(
    "--splits", type=names, required=True, help="Splits, comma-separated, as for train: 'group:halogens,value:high'."
)
@click.option(
    "--features",
    type=feature_sets,
    required=True,
    help="Embedded encoders or layers, comma-separated and then side by side; separate several sets by ';'.",
)
@click.option("--models", type=names, help="Regressors. Default: those of the decoupled-transfer study.")
@click.option(
    "--networks",
    type=names,
    help=f"Train these networks end to end: {', '.join(GRAPH_NETWORKS)}, or crystal encoders. Default: none.",
)
@click.option(
    "--starts",
    type=network_starts,
    default=",".join(_STARTS),
    show_default=True,
    help="Start networks from: scratch, fine-tune.",
)
@click.option("--epochs", type=click.IntRange(min=1), help="Train networks for so many epochs at most.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True, help="For networks.")
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="Repeat with so many seeds.")
@click.option("--network-seeds", type=click.IntRange(min=0), help="Train networks with so many of them. Default: all.")
@click.option(
    "--parameters",
    type=click.Choice(["chosen", "default"]),
    default="chosen",
    show_default=True,
    help="Choose parameters of regressors by cross-validation on training rows, or take the default.",
)
@click.option(
    "--few",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Count an element as known from so many training rows.",
)
@click.option(
    "--training-table",
    "--seen",
    "training_tables",
    cls=RenamedOption,
    multiple=True,
    help="Table or dataset that an encoder was trained on, to know which tested rows leak. Repeatable.",
)
@click.option(
    "--leakage",
    "policy",
    type=click.Choice(["labels", "contents", "report"]),
    default="labels",
    show_default=True,
    help="Refuse where an encoder may know the tested values, the tested compositions, or never.",
)
@study_options("extrapolation")
@click.pass_obj
def extrapolation_command(lake: Path, /, folder: Path | None, output: Output, **options: Any) -> int | None:
    """Compare heads on frozen embeddings with networks trained end to end, outside of what they were trained on.

    All predict the same test rows of each split. Measurements go to the table "extrapolations" of the lake: a run that
    was stopped resumes where it stopped.
    """
    from matlake.store.lake import open_lake
    from matlake.studies.extrapolation.evaluate import evaluate_extrapolation
    from matlake.studies.extrapolation.request import ExtrapolationRequest

    request = request_of(ExtrapolationRequest, options)
    with progress("evaluating", "measurements") as reporter:
        result = evaluate_extrapolation(open_lake(lake), request, progress=reporter)
    show(result, folder, output)
    return EXIT_SOME_ROWS_FAILED if result.report.skipped else None
