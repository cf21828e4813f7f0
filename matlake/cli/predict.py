"""The command ``predict``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from matlake.cli.completion import heads
from matlake.cli.main import EXIT_SOME_ROWS_FAILED, json_option
from matlake.cli.options import (
    ANY_PATH,
    FILE,
    Command,
    as_of_option,
    assignment,
    column_options,
    engine_options,
    option,
    row_options,
    section,
)
from matlake.cli.output import Output, open_as_of, progress
from matlake.store.storage.places import LakePath

if TYPE_CHECKING:
    from matlake.regress.prediction.predict import Predictions
    from matlake.regress.prediction.predict_table import WrittenPredictions
    from matlake.regress.prediction.saving import SavedReport

_predicted = section("Predict for")
_of_the_lake = section("Rows")


@click.command("predict", cls=Command)
@click.argument("head", shell_complete=heads)
@_predicted("--formula", "formulas", multiple=True, help="A chemical formula. Repeatable.")
@_predicted(
    "--structure", "structures", type=ANY_PATH, multiple=True, help="A file of structures (CIF, POSCAR, …). Repeatable."
)
@_predicted(
    "--input",
    "table",
    type=ANY_PATH,
    help="A table (CSV, Parquet) of formulas or structures, or a file or folder of structures.",
)
@row_options
@as_of_option
@_of_the_lake(
    "--save", is_flag=True, help="Keep the predictions in the lake, in the view predictions. New ones are added."
)
@engine_options("Rows")
@column_options("With --input")
@_predicted(
    "--set",
    "values",
    type=assignment,
    multiple=True,
    metavar="COLUMN=VALUE",
    help="For a head with columns among its features: the value of a column for all inputs, such as "
    "temperature_K=300; --input reads columns from the table. Repeatable.",
)
@option(
    "--output",
    "target",
    type=FILE,
    help="Write the table with predictions to this file (.csv, .parquet); memory use stays constant.",
)
@json_option
@click.pass_obj
def predict_command(
    lake: LakePath,
    /,
    *,
    head: str,
    formulas: tuple[str, ...],
    structures: tuple[Path, ...],
    table: Path | None,
    dataset: str | None,
    where: str | None,
    as_of: str | None,
    save: bool,
    engine: str,
    address: str | None,
    target: Path | None,
    output: Output,
    values: tuple[tuple[str, str], ...],
    **columns: Any,
) -> int:
    """Predict a property of compositions or crystals with a trained head.

    For materials of the lake (--dataset, --where), it uses the vectors that are stored.
    """
    from matlake.regress.prediction.predict import predict, predict_structures
    from matlake.store.lake import open_lake

    stored = dataset is not None or where is not None
    if bool(formulas) + bool(structures) + (table is not None) + stored != 1:
        raise click.UsageError("give one of --formula, --structure, --input, --dataset and --where")
    if table is None and {*columns.values()} != {None}:
        raise click.UsageError("--formula-column and --structure-column go with --input")
    if target is not None and table is None and not stored:
        raise click.UsageError("--output goes with --input, --dataset and --where")
    remote = engine != "local" or address is not None
    _check_stored(stored=stored, save=save, as_of=as_of, remote=remote, values=values)
    report: Predictions | WrittenPredictions | SavedReport
    if stored:
        from matlake.regress.prediction.predict_dataset import predict_dataset

        opened = open_as_of(lake, as_of)
        with progress("predicting", "rows") as reporter:
            report = predict_dataset(
                opened,
                head,
                dataset=dataset,
                where=where,
                save=save,
                output=target,
                engine=engine,
                address=address,
                progress=reporter,
            )
    elif formulas:
        report = predict(open_lake(lake), head, formulas, columns=dict(values))
    elif table is None:
        report = predict_structures(open_lake(lake), head, structures, columns=dict(values))
    else:
        from matlake.regress.prediction.predict_table import predict_table, predict_to_file

        columns["columns"] = dict(values)
        with progress("predicting", "rows") as reporter:
            if target is None:
                report = predict_table(open_lake(lake), head, table, **columns, progress=reporter)
            else:
                report = predict_to_file(open_lake(lake), head, table, target, **columns, progress=reporter)
    output.document(report.document(), report.lines())
    return EXIT_SOME_ROWS_FAILED if report.failed else 0


def _check_stored(
    *, stored: bool, save: bool, as_of: str | None, remote: bool, values: tuple[tuple[str, str], ...]
) -> None:
    """Refuse what goes with rows of the lake alone, or not with them."""
    if not stored and (save or as_of is not None):
        raise click.UsageError(f"{'--save' if save else '--as-of'} goes with --dataset and --where")
    if save and as_of is not None:
        raise click.UsageError("--save does not go with --as-of: predictions are saved of the lake as it is")
    if remote and not stored:
        raise click.UsageError("--engine and --address go with --dataset and --where")
    if values and stored:
        raise click.UsageError("--set does not go with --dataset and --where, whose rows have values of their own")
