"""The commands ``encoders …``: the encoder shelf, and the making of encoders."""

from dataclasses import asdict
from pathlib import Path

import click

from matlake.cli.main import EXIT_FAILED, json_option
from matlake.cli.output import Output, note, progress

_FILE = click.Path(path_type=Path, dir_okay=False)
_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group("encoders")
def encoders_command() -> None:
    """List, show, verify, pretrain and export encoders."""


@encoders_command.command("list")
@json_option
@click.pass_obj
def list_command(lake: Path, output: Output) -> None:
    """List the encoders shipped with matlake and those of the lake."""
    from matlake.encoders.listing import encoder_line, encoder_summary
    from matlake.encoders.shelf import list_encoders

    found = list_encoders(lake / "encoders")
    output.document(
        {"encoders": [encoder_summary(encoder) for encoder in found]}, [encoder_line(encoder) for encoder in found]
    )


@encoders_command.command("show")
@click.argument("name")
@json_option
@click.pass_obj
def show_command(lake: Path, name: str, output: Output) -> None:
    """Show the card of an encoder: layers, training data, errors, licence, what to cite."""
    from matlake.encoders.listing import card_lines
    from matlake.encoders.shelf import find_encoder

    found = find_encoder(name, lake / "encoders")
    output.document({**asdict(found.card), "folder": str(found.folder)}, card_lines(found))


@encoders_command.command("verify")
@click.argument("name")
@json_option
@click.pass_context
def verify_command(ctx: click.Context, name: str, output: Output) -> int:
    """Hold an encoder to its contract; exit code 1 when it fails."""
    from matlake.encoders.shelf import find_encoder
    from matlake.encoders.verify import verify_encoder

    checks = verify_encoder(find_encoder(name, ctx.obj / "encoders").folder)
    passed = all(check.passed for check in checks)
    output.document(
        {"encoder": name, "passed": passed, "checks": [asdict(check) for check in checks]},
        [f"{'ok    ' if check.passed else 'FAILED'} {check.name}: {check.detail}" for check in checks],
    )
    return 0 if passed else EXIT_FAILED


@encoders_command.command("export")
@click.argument("architecture", type=click.Choice(["elemnet"]))
@click.option(
    "--checkpoint", required=True, type=click.Path(path_type=Path), help="Folder of a pretraining run, or its best.pt."
)
@click.option("--name", required=True, help="Name of the encoder.")
@click.option(
    "--precision",
    type=click.Choice(["float32", "float16", "int8"]),
    default="float32",
    show_default=True,
    help="float16 halves the file and computes in float32; int8 also computes faster.",
)
@click.option("--output", "folder", type=_FOLDER, help="Folder of the encoder; LAKE/encoders/NAME where not given.")
@click.option("--data", type=_FILE, help="Table of the run: measures the exported file's errors on its held-out rows.")
@click.option("--database", type=click.Choice(["oqmd"]), help="Source of the table: gives licence and citation.")
@click.option("--licence", help="Licence of the weights.")
@click.option("--citation", multiple=True, help="A paper or data set to cite; may be repeated.")
@click.option("--release", type=click.IntRange(min=1), help="Release of the weights under this name.")
@click.option("--replace", is_flag=True, help="Replace an encoder of this name.")
@json_option
@click.pass_obj
def export_command(
    lake: Path,
    architecture: str,  # noqa: ARG001 - so far there is one
    checkpoint: Path,
    name: str,
    precision: str,
    folder: Path | None,
    data: Path | None,
    database: str | None,
    licence: str | None,
    citation: tuple[str, ...],
    release: int | None,
    replace: bool,
    output: Output,
) -> None:
    """Export a trained network to ONNX with its card, after comparing the two on real compositions."""
    from matlake.export.extra import require_training_extra

    require_training_extra()
    from matlake.encoders.listing import export_lines
    from matlake.export.packaging import ExportRequest, export_elemnet

    folder = folder or lake / "encoders" / name
    card = export_elemnet(
        ExportRequest(
            checkpoint=checkpoint,
            name=name,
            folder=folder,
            precision=precision,
            data=data,
            database=database,
            licence=licence,
            citation=citation,
            release=release,
            replace=replace,
        )
    )
    document = {
        "encoder": card.name,
        "folder": str(folder),
        "sha256": card.sha256,
        "precision": card.precision,
        "parity": card.parity,
        "metrics": card.metrics,
    }
    output.document(document, export_lines(card, folder))


@encoders_command.command("pretrain")
@click.argument("architecture", type=click.Choice(["elemnet"]))
@click.option("--data", required=True, type=_FILE, help="CSV or Parquet table.")
@click.option("--formula-column", default="formula", show_default=True, help="Column of formulas.")
@click.option("--target", required=True, help="Column of numbers; its unit ends its name (band_gap_eV).")
@click.option("--output", "folder", required=True, type=_FOLDER, help="Folder of the run; resumed where it exists.")
@click.option("--unit", help="Unit of the target where its column's name does not end in it.")
@click.option("--split-column", help="Column of train, val and test; else a random split by composition, 70 : 15 : 15.")
@click.option("--max-abs", type=click.FloatRange(min=0), help="Drop rows whose absolute target is larger.")
@click.option("--epochs", type=click.IntRange(min=1), default=80, show_default=True, help="Length of the schedule.")
@click.option("--batch-size", type=click.IntRange(min=1), default=256, show_default=True, help="Rows a step.")
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    default=1e-3,
    show_default=True,
    help="Peak of the schedule.",
)
@click.option(
    "--weight-decay",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="Decoupled weight decay; 0 is Adam.",
)
@click.option(
    "--patience",
    type=click.IntRange(min=1),
    default=200,
    show_default=True,
    help="Epochs without a better validation error after which training stops.",
)
@click.option("--seed", type=int, default=1234567, show_default=True, help="Seeds weights, order and random split.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="Threads on the CPU.")
@json_option
def pretrain_command(
    architecture: str,
    data: Path,
    formula_column: str,
    target: str,
    folder: Path,
    unit: str | None,
    split_column: str | None,
    max_abs: float | None,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
    patience: int,
    seed: int,
    device: str,
    threads: int | None,
    output: Output,
) -> None:
    """Train a network on a table of formulas and values; a run that was stopped goes on where it stopped."""
    from matlake.export.extra import require_training_extra

    require_training_extra()
    from matlake.export.pretrain import EpochReport, TrainingConfig
    from matlake.export.pretraining import PretrainRequest, run_pretraining
    from matlake.export.report import account_lines, epoch_line, run_document, run_lines
    from matlake.export.training_data import TableRecipe, TrainingData

    request = PretrainRequest(
        data=data,
        recipe=TableRecipe(formula_column, target, split_column, max_abs, seed),
        config=TrainingConfig(
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            patience=patience,
            seed=seed,
        ),
        folder=folder,
        unit=unit,
        device=device,
        threads=threads,
    )
    with progress(f"training {architecture}", "epochs") as track:

        def on_data(data: TrainingData) -> None:
            note("\n".join(account_lines(data.account)))

        def on_epoch(history: list[EpochReport]) -> None:
            track(len(history), epochs)
            note(epoch_line(history, request.config, request.target_unit))

        record = run_pretraining(request, on_data, on_epoch)
    output.document(run_document(record, folder), run_lines(record, folder))
