"""The commands ``evaluate …``."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from matlake.cli.main import EXIT_SOME_ROWS_FAILED, json_option
from matlake.cli.options import (
    AT_LEAST_ONE,
    FILE,
    FOLDER,
    POSITIVE,
    Command,
    Function,
    device_option,
    names,
    option,
    row_options,
    seed_option,
)
from matlake.cli.output import Output, progress
from matlake.extras import require_extra
from matlake.networks.architectures import GRAPH_NETWORKS
from matlake.store.storage.places import LakePath

if TYPE_CHECKING:
    from matlake.studies.report import StudyResult

R = TypeVar("R")

_STARTS: Final = ("scratch", "fine-tune")
_NOT_NEGATIVE: Final = click.IntRange(min=0)


def study_options(name: str | None) -> Callable[[Function], Function]:
    """Add the options that all studies have.

    Args:
        name: Usual name of an evaluation; None where it is that of a task.
    """
    options = [
        option(
            "--name",
            default=name,
            show_default=name or "that of the task",
            help="Name the evaluation; the same name resumes it.",
        ),
        option(
            "--max-seconds",
            "seconds",
            former=["--budget"],
            type=POSITIVE,
            help="Start no new step after this many seconds.  [default: no limit]",
        ),
        option("--output", "folder", type=FOLDER, help="Write tables and plots to this folder."),
        json_option,
    ]

    def add(command: Function) -> Function:
        for decorate in reversed(options):
            command = decorate(command)
        return command

    return add


def feature_sets(text: str) -> tuple[tuple[str, ...], ...]:
    """Return the sets of features that semicolons separate."""
    return tuple(names(one) for one in text.split(";") if one.strip())


def network_starts(text: str) -> tuple[str, ...]:
    """Return how networks start."""
    unknown = [start for start in names(text) if start not in _STARTS]
    if unknown:
        raise click.UsageError(f"--starts takes {' and '.join(_STARTS)}, not {', '.join(unknown)}")
    return names(text)


@click.group("evaluate")
def evaluate_command() -> None:
    """Compare methods of predicting properties, with statistics."""


@evaluate_command.command("extrapolation", cls=Command)
@option("--target", required=True, help="Predict this numeric property column.")
@option(
    "--splits", type=names, required=True, help="Splits, comma-separated, as for train: 'group:halogens,value:high'."
)
@option(
    "--features",
    type=feature_sets,
    required=True,
    help="Embedded encoders or layers (NAME@1+2, NAME@all: several), comma-separated and then side by side; separate "
    "several sets by ';'.",
)
@option(
    "--models",
    type=names,
    help="Regressors; NAME+NAME is the mean of several.  [default: those of the decoupled-transfer study]",
)
@option(
    "--transform",
    type=click.Choice(["none", "log", "sqrt"]),
    default="none",
    show_default=True,
    help="Train heads and networks on this function of the target; errors are in the target's unit.",
)
@option(
    "--networks",
    type=names,
    help=f"Train these networks end to end: {', '.join(GRAPH_NETWORKS)}, or crystal encoders.  [default: none]",
)
@option(
    "--starts",
    type=network_starts,
    default=",".join(_STARTS),
    show_default=True,
    help="Start networks from: scratch, fine-tune.",
)
@option("--epochs", type=AT_LEAST_ONE, help="Train networks for at most this many epochs.")
@device_option
@option("--seeds", type=AT_LEAST_ONE, default=3, show_default=True, help="Repeat with this many seeds.")
@option("--network-seeds", type=_NOT_NEGATIVE, help="Train networks with this many of the seeds.  [default: all]")
@option(
    "--parameters",
    type=click.Choice(["chosen", "default"]),
    default="chosen",
    show_default=True,
    help="Choose parameters of regressors by cross-validation on training rows, or use the defaults.",
)
@option(
    "--few",
    type=AT_LEAST_ONE,
    default=10,
    show_default=True,
    help="Count an element as known if at least this many training rows contain it.",
)
@option(
    "--training-table",
    "training_tables",
    former=["--seen"],
    multiple=True,
    help="Table or dataset that an encoder was trained on, to find leaked test rows. Repeatable.",
)
@option(
    "--leakage",
    "policy",
    type=click.Choice(["labels", "contents", "report"]),
    default="labels",
    show_default=True,
    help="Leave out methods with an encoder that may have been trained on the tested values (labels) or compositions "
    "(contents), or only report it.",
)
@row_options
@study_options("extrapolation")
@click.pass_obj
def extrapolation_command(lake: LakePath, /, folder: Path | None, output: Output, **options: Any) -> int | None:
    """Compare heads on frozen embeddings with networks trained end to end, outside their training data.

    All predict the same test rows of each split. Measurements go to the table "extrapolations" of the lake: a run that
    was interrupted resumes.
    """
    from matlake.store.lake import open_lake
    from matlake.studies.extrapolation.evaluate import evaluate_extrapolation
    from matlake.studies.extrapolation.methods import ExtrapolationRequest

    request = _request(ExtrapolationRequest, options, folder)
    with progress("evaluating", "measurements") as reporter:
        result = evaluate_extrapolation(open_lake(lake), request, progress=reporter)
    _show(result, folder, output)
    return EXIT_SOME_ROWS_FAILED if result.report.skipped else None


@evaluate_command.command("transfer", cls=Command)
@option("--targets", type=names, help="Property columns, comma-separated.  [default: all]")
@option("--sources", type=names, help="Encoders to transfer from, comma-separated.  [default: all ElemNets]")
@option(
    "--configs",
    "configurations",
    help="Configurations, comma-separated, such as 'Base,SC:ML(PA),TL:FineTune'.  [default: all]",
)
@option("--split-column", help="Test on the rows where this column says test.  [default: a tenth of the compositions]")
@option(
    "--features",
    type=names,
    former=["--embedded"],
    help="Compare embedded layers of crystal encoders as well, comma-separated.",
)
@option("--small", type=_NOT_NEGATIVE, help="Try all methods on targets with at most this many rows.")
@option("--folds", type=_NOT_NEGATIVE, help="Cross-validate the chosen methods in this many folds; 0 turns it off.")
@option("--curves/--no-curves", default=True, show_default=True, help="Measure learning curves of the best.")
@seed_option
@row_options
@study_options("transfer")
@click.pass_obj
def transfer_command(lake: LakePath, /, folder: Path | None, output: Output, **options: Any) -> int | None:
    """Compare learning from scratch with transfer from pretrained encoders, property by property.

    Methods are searched on validation rows by successive halving; what wins there is tested. Measurements go to the
    table "evaluations" of the lake: a run that was interrupted resumes.
    """
    from matlake.store.lake import open_lake
    from matlake.studies.transfer.configurations import TransferRequest
    from matlake.studies.transfer.evaluate import evaluate_transfer

    request = _request(TransferRequest, options, folder)
    with progress("evaluating", "measurements") as reporter:
        result = evaluate_transfer(open_lake(lake), request, reporter)
    _show(result, folder, output)
    return EXIT_SOME_ROWS_FAILED if result.skipped else None


@evaluate_command.command("matbench", cls=Command)
@click.argument("task")
@option("--data", type=FILE, required=True, help="Read the task's rows from this file, in its order.")
@option("--folds", type=FILE, help="Take the folds from the benchmark's validation file.  [default: its recipe]")
@option("--features", type=names, help="Features, comma-separated, as for train.  [default: those recommended]")
@option("--model", default="auto", show_default=True, help="Model, as for train.")
@option(
    "--splits",
    type=names,
    help="Folds, comma-separated: public, clusters, or splits as for train.  [default: public,clusters and what the "
    "task names]",
)
@option("--max-fits", "fits", type=AT_LEAST_ONE, help="Stop the model search of a fold after this many fits.")
@seed_option
@study_options(None)
@click.pass_obj
def matbench_command(lake: LakePath, /, folder: Path | None, output: Output, **options: Any) -> int | None:
    """Train and test heads on the folds of a public benchmark, beside the published results.

    TASK is one of Matbench (matbench_phonons, matbench_expt_gap, ...) or a set of the Materials Project
    (mp_bulk_modulus, ...). Its file becomes a dataset of the lake. Each fold is trained as by train and kept in the
    table "benchmarks" of the lake: a run that was interrupted resumes.
    """
    from matlake.store.lake import open_lake
    from matlake.studies.matbench.evaluate import evaluate_matbench
    from matlake.studies.matbench.request import MatbenchRequest

    request = _request(MatbenchRequest, options, folder)
    with progress("evaluating", "folds") as reporter:
        result = evaluate_matbench(open_lake(lake, create=True), request, reporter)
    _show(result, folder, output)
    unmeasured = any(kind.failures for kind in result.report.kinds)
    return EXIT_SOME_ROWS_FAILED if result.report.failed or unmeasured else None


def _request(kind: Callable[..., R], options: Mapping[str, Any], folder: Path | None) -> R:
    """Return the request that options make; those that are absent keep the request's defaults.

    Args:
        kind: Class of the request; its fields are named like the options.
        options: By name.
        folder: Gets the plots, which need their extra: without it the evaluation does not begin.
    """
    if folder:
        require_extra("plots", "the report of a comparison")
    return kind(**{name: value for name, value in options.items() if value is not None})


def _show(result: "StudyResult", folder: Path | None, output: Output) -> None:
    """Write the files of a study, if asked for, and print what it found."""
    from matlake.studies.report import write_report

    if folder:
        write_report(result, folder)
    output.document(result.document(), result.lines())
