"""The commands ``encoders …``: the registry of encoders, and the making of encoders."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from matlake.cli.main import EXIT_FAILED, json_option
from matlake.cli.output import Output, note, progress
from matlake.networks.architectures import ARCHITECTURES

if TYPE_CHECKING:
    from matlake.export.pretraining.training_data import TrainingTable

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
    from matlake.store.folders import LakeFolders

    found = LakeFolders(lake).list_encoders()
    output.document(
        {"encoders": [encoder_summary(encoder) for encoder in found]}, [encoder_line(encoder) for encoder in found]
    )


@encoders_command.command("show")
@click.argument("name")
@json_option
@click.pass_obj
def show_command(lake: Path, name: str, output: Output) -> None:
    """Show the card of an encoder: layers, training data, errors, licence, what to cite."""
    from matlake.encoders.listing import card_lines, encoder_document
    from matlake.store.folders import LakeFolders

    found = LakeFolders(lake).find_encoder(name)
    output.document(encoder_document(found), card_lines(found))


@encoders_command.command("verify")
@click.argument("name")
@json_option
@click.pass_context
def verify_command(ctx: click.Context, name: str, output: Output) -> int:
    """Hold an encoder to its contract; exit code 1 when it fails."""
    from matlake.encoders.verify import verify_encoder
    from matlake.store.folders import LakeFolders

    checks = verify_encoder(LakeFolders(ctx.obj).find_encoder(name).folder)
    passed = all(check.passed for check in checks)
    output.document(
        {"encoder": name, "passed": passed, "checks": [asdict(check) for check in checks]},
        [f"{'ok    ' if check.passed else 'FAILED'} {check.name}: {check.detail}" for check in checks],
    )
    return 0 if passed else EXIT_FAILED


@encoders_command.command("export")
@click.argument("architecture", type=click.Choice(list(ARCHITECTURES)))
@click.option(
    "--checkpoint",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder of a pretraining run, its best.pt, or a published checkpoint.",
)
@click.option("--name", required=True, help="Name of the encoder.")
@click.option(
    "--precision",
    type=click.Choice(["float32", "float16", "int8"]),
    default="float32",
    show_default=True,
    help="float16 halves the file and computes in float32; int8 (ElemNet) also computes faster.",
)
@click.option("--output", "folder", type=_FOLDER, help="Folder of the encoder; LAKE/encoders/NAME where not given.")
@click.option("--data", type=_FILE, help="Table of the run: measures the exported file's errors on its held-out rows.")
@click.option("--dataset", help="Dataset of the run, instead of --data.")
@click.option("--database", type=click.Choice(["oqmd", "mp"]), help="Source of the table: gives licence and citation.")
@click.option("--licence", help="Licence of the weights.")
@click.option("--citation", multiple=True, help="A paper or data set to cite; may be repeated.")
@click.option(
    "--cutoff", type=click.FloatRange(min=0, min_open=True), help="Cutoff in Å, where the checkpoint does not say it."
)
@click.option(
    "--max-neighbours",
    type=click.IntRange(min=0),
    help="Neighbour cap (0: none), where the checkpoint does not say it.",
)
@click.option("--release", type=click.IntRange(min=1), help="Release of the weights under this name.")
@click.option("--replace", is_flag=True, help="Replace an encoder of this name.")
@json_option
@click.pass_obj
def export_command(
    lake: Path,
    architecture: str,
    checkpoint: Path,
    name: str,
    precision: str,
    folder: Path | None,
    data: Path | None,
    dataset: str | None,
    database: str | None,
    licence: str | None,
    citation: tuple[str, ...],
    cutoff: float | None,
    max_neighbours: int | None,
    release: int | None,
    replace: bool,
    output: Output,
) -> None:
    """Export a trained network to ONNX with its card, after comparing the two on real materials."""
    from matlake.extras import require_extra

    require_extra("train", "making encoders")
    from matlake.encoders.listing import export_lines
    from matlake.export.packaging import ExportRequest, export_encoder
    from matlake.store.folders import LakeFolders

    folder = folder or LakeFolders(lake).encoders / name
    card = export_encoder(
        ExportRequest(
            architecture=architecture,
            checkpoint=checkpoint,
            name=name,
            folder=folder,
            precision=precision,
            data=_training_table(lake, data, dataset),
            database=database,
            licence=licence,
            citation=citation,
            cutoff=cutoff,
            max_neighbours=max_neighbours,
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
@click.argument("architecture", type=click.Choice(list(ARCHITECTURES)))
@click.option("--data", type=_FILE, help="CSV or Parquet table.")
@click.option("--dataset", help="Dataset of the lake, instead of --data.")
@click.option("--formula-column", help="Column of formulas, for ElemNet; formula where not given.")
@click.option("--structure-column", help="Column of CIF, POSCAR or pymatgen JSON, for the graph networks.")
@click.option(
    "--target",
    "targets",
    multiple=True,
    default=["formation_energy_eV_per_atom"],
    show_default=True,
    help="Column of numbers; its unit ends its name (band_gap_eV). May be repeated: one network for several.",
)
@click.option("--output", "folder", required=True, type=_FOLDER, help="Folder of the run; resumed where it exists.")
@click.option("--unit", help="Unit of the target where its column's name does not end in it.")
@click.option("--split-column", help="Column of train, val and test; else a random split by composition.")
@click.option(
    "--hold-out",
    help='SQL predicate, such as "year > 2005": these rows are tested only, and their compositions never trained on.',
)
@click.option("--max-abs", type=click.FloatRange(min=0), help="Drop rows whose absolute target is larger.")
@click.option("--size", "sizes", multiple=True, metavar="NAME=NUMBER", help="Size of the network; may be repeated.")
@click.option("--max-neighbours", type=click.IntRange(min=0), help="Neighbour cap of the graphs; 0 for none.")
@click.option("--epochs", type=click.IntRange(min=1), help="Length of the schedule.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Rows a step.")
@click.option("--learning-rate", type=click.FloatRange(min=0, min_open=True), help="Peak of the schedule.")
@click.option("--weight-decay", type=click.FloatRange(min=0), help="Decoupled weight decay; 0 is Adam.")
@click.option(
    "--averaging", type=click.FloatRange(0, 1, max_open=True), help="Decay of the moving average of weights; 0: none."
)
@click.option("--patience", type=click.IntRange(min=1), help="Epochs without improvement after which training stops.")
@click.option("--mixed-precision", is_flag=True, default=None, help="bfloat16 where it is safe, on CUDA.")
@click.option("--seed", type=int, help="Seeds weights, order and random split.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="Threads on the CPU.")
@json_option
@click.pass_obj
def pretrain_command(
    lake: Path,
    /,
    architecture: str,
    data: Path | None,
    dataset: str | None,
    formula_column: str | None,
    structure_column: str | None,
    targets: tuple[str, ...],
    folder: Path,
    unit: str | None,
    split_column: str | None,
    hold_out: str | None,
    max_abs: float | None,
    sizes: tuple[str, ...],
    max_neighbours: int | None,
    device: str,
    threads: int | None,
    output: Output,
    **settings: Any,
) -> None:
    """Train a network on a table of materials and values; a run that was stopped goes on where it stopped.

    What is not given is the architecture's own: see the defaults in the documentation of each encoder.
    """
    from matlake.extras import require_extra

    require_extra("train", "making encoders")
    from matlake.encoders.training_record import TableRecipe
    from matlake.export.pretraining.report import account_lines, epoch_line, run_document, run_lines
    from matlake.export.pretraining.run import PretrainRequest, run_pretraining
    from matlake.export.pretraining.training_data import TrainingData
    from matlake.networks.training_history import EpochReport

    table = _training_table(lake, data, dataset)
    if table is None:
        raise click.UsageError("give --data FILE or --dataset NAME")
    made = ARCHITECTURES[architecture]
    config = replace(made.config, **{name: value for name, value in settings.items() if value is not None})
    request = PretrainRequest(
        architecture=architecture,
        data=table,
        recipe=TableRecipe(
            targets,
            made.input,
            formula_column if made.input == "composition" else structure_column,
            split_column,
            hold_out,
            max_abs,
            made.shares,
            config.seed,
        ),
        config=config,
        folder=folder,
        sizes=dict(_size(text) for text in sizes),
        max_neighbours=max_neighbours,
        unit=unit,
        device=device,
        threads=threads,
    )
    with progress(f"training {architecture}", "epochs") as track:

        def on_data(data: TrainingData) -> None:
            note("\n".join(account_lines(data.account)))

        def on_epoch(history: list[EpochReport]) -> None:
            track(len(history), config.epochs)
            note(epoch_line(history, config, request.target_unit))

        record = run_pretraining(request, on_data, on_epoch)
    output.document(run_document(record, folder), run_lines(record, folder))


def _training_table(lake: Path, data: Path | None, dataset: str | None) -> "TrainingTable | None":
    from matlake.export.pretraining.training_data import TrainingTable

    if data is not None and dataset is not None:
        raise click.UsageError("give --data or --dataset, not both")
    if data is not None:
        return TrainingTable.from_file(data)
    if dataset is None:
        return None
    from matlake.store.lake import open_lake

    return TrainingTable(dataset, *open_lake(lake).read_dataset(dataset))


def _size(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    try:
        return name, int(number) if number.isdigit() else float(number)
    except ValueError as error:
        raise click.UsageError(f"--size {text}: write it like hidden_channels=128") from error
