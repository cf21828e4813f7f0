"""The commands ``evaluate …``."""

from pathlib import Path

import click

from matlake.cli.evaluate_extrapolation import extrapolation_command
from matlake.cli.main import EXIT_SOME_ROWS_FAILED, json_option
from matlake.cli.output import Output, progress


@click.group("evaluate")
def evaluate_command() -> None:
    """Compare ways of predicting properties, with statistics."""


evaluate_command.add_command(extrapolation_command)


@evaluate_command.command("transfer")
@click.option("--targets", help="Property columns, comma-separated; all of them where not given.")
@click.option("--sources", help="Encoders to transfer from, comma-separated; all ElemNets where not given.")
@click.option(
    "--configs", help="Configurations, comma-separated, such as 'Base,SC:ML(PA),TL:FineTune'; all where not given."
)
@click.option("--dataset", help="Only this dataset.")
@click.option("--where", help="Only materials that this SQL predicate selects.")
@click.option(
    "--split-column",
    help="Column that says test for the rows to test on; a tenth of the compositions is where not given.",
)
@click.option("--embedded", help="Embedded layers of encoders of crystals to put beside the others, comma-separated.")
@click.option("--name", default="transfer", show_default=True, help="Of the evaluation; one of that name goes on.")
@click.option("--small", type=click.IntRange(min=0), help="Rows up to which everything is tried.")
@click.option("--folds", type=click.IntRange(min=0), help="Of the cross-validation of what was chosen; 0 for none.")
@click.option("--curves/--no-curves", default=True, show_default=True, help="Measure learning curves of the best.")
@click.option(
    "--budget", type=click.FloatRange(min=0.0, min_open=True), help="Seconds after which nothing more is begun."
)
@click.option("--seed", type=click.IntRange(min=0, max=2**32 - 1), default=0, show_default=True)
@click.option(
    "--output", "folder", type=click.Path(path_type=Path, file_okay=False), help="Folder for table and plots."
)
@json_option
@click.pass_obj
def transfer_command(
    lake: Path,
    targets: str | None,
    sources: str | None,
    configs: str | None,
    dataset: str | None,
    where: str | None,
    split_column: str | None,
    embedded: str | None,
    name: str,
    small: int | None,
    folds: int | None,
    curves: bool,
    budget: float | None,
    seed: int,
    folder: Path | None,
    output: Output,
) -> int | None:
    """Compare learning from scratch with transfer from pretrained encoders, property by property.

    Ways are searched on validation rows by successive halving; what wins there is tested. Measurements are rows of the
    table "evaluations" of the lake: a run that was stopped goes on where it stopped.
    """
    from matlake.store.lake import open_lake
    from matlake.studies.transfer.evaluate import SMALL, TransferRequest, evaluate_transfer
    from matlake.studies.transfer.files import write_report

    if dataset and where:
        raise click.UsageError("--dataset and --where exclude each other: put dataset = '…' into the predicate")
    request = TransferRequest(
        targets=_names(targets),
        sources=_names(sources),
        configurations=configs,
        dataset=dataset,
        where=where,
        split_column=split_column,
        embedded=_names(embedded),
        name=name,
        small=SMALL if small is None else small,
        folds=TransferRequest.folds if folds is None else folds,
        curves=curves,
        seconds=budget,
        seed=seed,
    )
    with progress("evaluating", "measurements") as reporter:
        result = evaluate_transfer(open_lake(lake), request, reporter)
    if folder:
        write_report(result, folder)
    output.document(result.document(), result.lines())
    return EXIT_SOME_ROWS_FAILED if result.skipped else None


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",")) if text else ()
