"""The commands ``encoders …``: the registry of encoders, and the making of encoders."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from matlake.cli.main import EXIT_FAILED, json_option
from matlake.cli.options import ANY_PATH, AT_LEAST_ONE, FILE, FOLDER, POSITIVE, Command, device_option, option
from matlake.cli.output import Output, progress
from matlake.networks.architectures import ARCHITECTURES

if TYPE_CHECKING:
    from matlake.export.pretraining.training_data import TrainingTable


def _size(text: str) -> tuple[str, float]:
    """Read a size of a network, such as ``hidden_channels=128``."""
    name, _, number = text.partition("=")
    try:
        return name, int(number) if number.isdigit() else float(number)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not like hidden_channels=128") from error


@click.group("encoders")
def encoders_command() -> None:
    """List, show, verify, pretrain and export encoders."""


@encoders_command.command("list", cls=Command)
@json_option
@click.pass_obj
def list_command(lake: Path, output: Output) -> None:
    """List the encoders shipped with matlake and those of the lake."""
    from matlake.encoders.listing import encoder_summary, encoder_table
    from matlake.encoders.registry import list_encoders

    found = list_encoders(lake / "encoders")
    output.document({"encoders": [encoder_summary(encoder) for encoder in found]}, [encoder_table(found)])


@encoders_command.command("show", cls=Command)
@click.argument("name")
@json_option
@click.pass_obj
def show_command(lake: Path, name: str, output: Output) -> None:
    """Show the card of an encoder: layers, training data, errors, licence, citations."""
    from matlake.encoders.listing import card_lines
    from matlake.encoders.registry import find_encoder

    found = find_encoder(name, lake / "encoders")
    output.document({**asdict(found.card), "folder": str(found.folder)}, card_lines(found))


@encoders_command.command("verify", cls=Command)
@click.argument("name")
@json_option
@click.pass_context
def verify_command(ctx: click.Context, name: str, output: Output) -> int:
    """Check an encoder against its contract. Exit code 1 means that it fails."""
    from matlake.encoders.registry import find_encoder
    from matlake.encoders.verify import verify_encoder

    checks = verify_encoder(find_encoder(name, ctx.obj / "encoders").folder)
    passed = all(check.passed for check in checks)
    output.document(
        {"encoder": name, "passed": passed, "checks": [asdict(check) for check in checks]},
        [f"{'ok    ' if check.passed else 'FAILED'} {check.name}: {check.detail}" for check in checks],
    )
    return 0 if passed else EXIT_FAILED


@encoders_command.command("export", cls=Command)
@click.argument("architecture", type=click.Choice(list(ARCHITECTURES)))
@option(
    "--checkpoint",
    required=True,
    type=ANY_PATH,
    help="Export this network: the folder of a pretraining run, its best.pt, or a published checkpoint.",
)
@option("--name", required=True, help="Name the encoder.")
@option("--output", "folder", type=FOLDER, help="Write the encoder to this folder.  [default: LAKE/encoders/NAME]")
@option("--replace", is_flag=True, help="Replace an encoder of this name.")
@option(
    "--precision",
    type=click.Choice(["float32", "float16", "int8"]),
    default="float32",
    show_default=True,
    help="Store weights in this precision. float16 halves the file and computes in float32; int8 (ElemNet) also "
    "computes faster.",
)
@option("--data", type=FILE, section="Card", help="Measure errors on the held-out rows of this table of the run.")
@option("--dataset", section="Card", help="Measure them on this dataset of the lake instead.")
@option(
    "--database",
    type=click.Choice(["oqmd", "mp"]),
    section="Card",
    help="Take licence and citation from this source of the table.",
)
@option("--licence", section="Card", help="State the licence of the weights.")
@option("--citation", multiple=True, section="Card", help="Cite a paper or data set. Repeatable.")
@option("--release", type=AT_LEAST_ONE, section="Card", help="Number this release of the weights.")
@option("--cutoff", type=POSITIVE, section="Graph, if the checkpoint does not state it", help="Cutoff in Å.")
@option(
    "--max-neighbours",
    type=click.IntRange(min=0),
    section="Graph, if the checkpoint does not state it",
    help="Keep this many neighbours; 0 keeps all within the cutoff.",
)
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
    """Export a trained network to ONNX with its card. Both must agree on real materials."""
    from matlake.extras import require_extra

    require_extra("train", "making encoders")
    from matlake.encoders.listing import export_lines
    from matlake.export.packaging import ExportRequest, export_encoder

    folder = folder or lake / "encoders" / name
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


@encoders_command.command("pretrain", cls=Command)
@click.argument("architecture", type=click.Choice(list(ARCHITECTURES)))
@option("--output", "folder", required=True, type=FOLDER, help="Write the run to this folder, or resume it there.")
@option("--data", type=FILE, section="Data", help="Train on this table (CSV, Parquet).")
@option("--dataset", section="Data", help="Train on this dataset of the lake instead.")
@option("--formula-column", section="Data", help="Read formulas from this column, for ElemNet.  [default: formula]")
@option(
    "--structure-column",
    section="Data",
    help="Read structures (CIF, POSCAR, pymatgen JSON) from this column, for graph networks.",
)
@option(
    "--target",
    "targets",
    multiple=True,
    default=["formation_energy_eV_per_atom"],
    show_default=True,
    section="Data",
    help="Learn this column; its name ends in the unit (band_gap_eV). Repeatable: one network learns several.",
)
@option("--unit", section="Data", help="State the unit of the target if the column's name does not end in it.")
@option(
    "--split-column",
    section="Data",
    help="Read train, val and test from this column.  [default: a random split by composition]",
)
@option(
    "--hold-out",
    metavar="SQL",
    section="Data",
    help='Only test on rows that this predicate selects, such as "year > 2005"; never train on their compositions.',
)
@option("--max-abs", type=click.FloatRange(min=0), section="Data", help="Drop rows with a larger absolute target.")
@option(
    "--size",
    "sizes",
    multiple=True,
    type=_size,
    metavar="NAME=NUMBER",
    section="Network",
    help="Set a size. Repeatable.",
)
@option(
    "--max-neighbours",
    type=click.IntRange(min=0),
    section="Network",
    help="Keep this many neighbours in graphs; 0 keeps all within the cutoff.",
)
@option("--epochs", type=AT_LEAST_ONE, section="Training", help="Train for this many epochs.")
@option("--batch-size", type=AT_LEAST_ONE, section="Training", help="Use this many rows in a step.")
@option("--learning-rate", type=POSITIVE, section="Training", help="Peak of the schedule.")
@option(
    "--weight-decay", type=click.FloatRange(min=0), section="Training", help="Decoupled weight decay; 0 is plain Adam."
)
@option(
    "--averaging",
    type=click.FloatRange(0, 1, max_open=True),
    section="Training",
    help="Decay of the moving average of the weights; 0 turns it off.",
)
@option("--patience", type=AT_LEAST_ONE, section="Training", help="Stop after this many epochs without improvement.")
@option(
    "--mixed-precision", is_flag=True, default=None, section="Training", help="Use bfloat16 on CUDA where it is safe."
)
@option("--seed", type=int, section="Training", help="Seed weights, order and random split.")
@device_option
@option("--threads", type=AT_LEAST_ONE, help="Use this many threads on the CPU.")
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
    sizes: tuple[tuple[str, float], ...],
    max_neighbours: int | None,
    device: str,
    threads: int | None,
    output: Output,
    **settings: Any,
) -> None:
    """Train a network on a table of materials and values. Run it again to go on where it stopped.

    Settings default to those of the architecture: see docs/encoders.md.
    """
    from matlake.extras import require_extra

    require_extra("train", "making encoders")
    from matlake.export.pretraining.report import account_lines, epoch_line, run_document, run_lines
    from matlake.export.pretraining.run import PretrainRequest, run_pretraining
    from matlake.export.pretraining.training_data import TableRecipe, TrainingData
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
        sizes=dict(sizes),
        max_neighbours=max_neighbours,
        unit=unit,
        device=device,
        threads=threads,
    )
    with progress(f"training {architecture}", "epochs") as reporter:

        def on_data(data: TrainingData) -> None:
            reporter.note("\n".join(account_lines(data.account)))

        def on_epoch(history: list[EpochReport]) -> None:
            reporter.track(len(history), config.epochs)
            reporter.note(epoch_line(history, config, request.target_unit))

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
