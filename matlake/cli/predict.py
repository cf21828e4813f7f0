"""The command ``predict``."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from matlake.cli.main import EXIT_SOME_ROWS_FAILED, json_option
from matlake.cli.output import Output, progress

if TYPE_CHECKING:
    from matlake.regress.prediction.predict import Predictions
    from matlake.regress.prediction.predict_table import WrittenPredictions


@click.command("predict")
@click.argument("head")
@click.option("--formula", "formulas", multiple=True, help="A chemical formula; may be given several times.")
@click.option(
    "--structure",
    "structures",
    type=click.Path(path_type=Path),
    multiple=True,
    help="A CIF or POSCAR file, or another file of structures; may be given several times.",
)
@click.option(
    "--input",
    "table",
    type=click.Path(path_type=Path),
    help="CSV or Parquet file with a column of formulas or structures, or a folder or file of structures.",
)
@click.option("--formula-column", help="Column of formulas in --input; 'formula' and other usual names are found.")
@click.option("--structure-column", help="Column of structures in --input; 'structure', 'cif', 'poscar' … are found.")
@click.option(
    "--output",
    "target",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the table with predictions here (.csv, .parquet), in memory that does not grow with its length.",
)
@json_option
@click.pass_obj
def predict_command(
    lake: Path,
    head: str,
    formulas: tuple[str, ...],
    structures: tuple[Path, ...],
    table: Path | None,
    formula_column: str | None,
    structure_column: str | None,
    target: Path | None,
    output: Output,
) -> int:
    """Predict a property of compositions or crystals with a trained head."""
    from matlake.regress.prediction.predict import predict, predict_structures
    from matlake.store.lake import open_lake

    if bool(formulas) + bool(structures) + (table is not None) != 1:
        raise click.UsageError("give one of --formula, --structure and --input")
    if table is None and (target, formula_column, structure_column) != (None, None, None):
        raise click.UsageError("--output, --formula-column and --structure-column go with --input")
    report: Predictions | WrittenPredictions
    if formulas:
        report = predict(open_lake(lake), head, formulas)
    elif table is None:
        report = predict_structures(open_lake(lake), head, structures)
    else:
        from matlake.regress.prediction.predict_table import predict_table, predict_to_file

        columns = {"formula_column": formula_column, "structure_column": structure_column}
        with progress("predicting", "rows") as reporter:
            if target is None:
                report = predict_table(open_lake(lake), head, table, **columns, progress=reporter)
            else:
                report = predict_to_file(open_lake(lake), head, table, target, **columns, progress=reporter)
    output.document(report.document(), report.lines())
    return EXIT_SOME_ROWS_FAILED if report.failed else 0
