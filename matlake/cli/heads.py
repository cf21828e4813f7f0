"""Commands on heads: train, predict."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from matlake.cli.main import EXIT_SOME_ROWS_FAILED, json_option
from matlake.cli.output import Output, note, progress

if TYPE_CHECKING:
    from matlake.regress.predict import Predictions
    from matlake.regress.predict_table import WrittenPredictions


@click.command("train")
@click.option("--target", required=True, help="Property to learn: a numeric column of the view materials.")
@click.option("--features", required=True, help="NAME[@LAYER][,NAME[@LAYER]…], each embedded before.")
@click.option("--dataset", help="Only this dataset.")
@click.option("--where", help='Only materials that this SQL predicate selects, such as "band_gap_eV > 0".')
@click.option(
    "--model", required=True, help="ridge, svr, knn, random-forest, …, or auto to choose by cross-validation."
)
@click.option("--split", default="random", show_default=True, help="How rows are set aside for testing.")
@click.option("--name", help="Name of the head; one of that name is replaced. TARGET-MODEL where not given.")
@click.option("--seed", type=click.IntRange(min=0, max=2**32 - 1), default=0, show_default=True)
@json_option
@click.pass_obj
def train_command(
    lake: Path,
    target: str,
    features: str,
    dataset: str | None,
    where: str | None,
    model: str,
    split: str,
    name: str | None,
    seed: int,
    output: Output,
) -> None:
    """Train a regressor on embeddings, measure it beside its baselines, save it as a head."""
    from matlake.regress.train import TrainRequest, train
    from matlake.store.lake import open_lake

    if dataset and where:
        raise click.UsageError("--dataset and --where exclude each other: put dataset = '…' into the predicate")
    request = TrainRequest(target, features.split(","), model, dataset, where, split, name, seed)
    result = train(open_lake(lake), request, note)
    output.document(result.document(), result.lines())


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
    from matlake.regress.predict import predict, predict_structures
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
        from matlake.regress.predict_table import predict_table, predict_to_file

        columns = {"formula_column": formula_column, "structure_column": structure_column}
        with progress("predicting", "rows") as track:
            if target is None:
                report = predict_table(open_lake(lake), head, table, **columns, track=track)
            else:
                report = predict_to_file(open_lake(lake), head, table, target, **columns, track=track)
    output.document(report.document(), report.lines())
    return EXIT_SOME_ROWS_FAILED if report.failed else 0
