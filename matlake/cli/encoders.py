"""The commands ``encoders …``: the registry of encoders, and the making of encoders."""

from pathlib import Path
from typing import Any

import click

from matlake.cli.completion import encoders
from matlake.cli.main import EXIT_FAILED, EXIT_SOME_ROWS_FAILED, json_option
from matlake.cli.options import (
    ANY_PATH,
    AT_LEAST_ONE,
    FILE,
    FOLDER,
    PLACE,
    POSITIVE,
    Command,
    device_option,
    option,
    section,
)
from matlake.cli.output import Output, progress
from matlake.networks.architectures import ARCHITECTURE_PLUGINS, EXPORTABLE, TRAINABLE
from matlake.store.storage.places import LakePath

_card = section("Card")
_graph = section("Graph (if the checkpoint does not specify it)")
_data = section("Data")
_network = section("Network")
_training = section("Training")


def _size(text: str) -> tuple[str, float]:
    """Read a size of a network, such as ``hidden_channels=128``."""
    name, _, number = text.partition("=")
    try:
        return name, int(number) if number.isdigit() else float(number)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not like hidden_channels=128") from error


class ArchitectureChoice(click.Choice[str]):
    """Names of architectures; plug-ins are looked up for a name that is none of these."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Take the names of plug-ins as they are."""
        if value not in self.choices and value in ARCHITECTURE_PLUGINS.names():
            return str(value)
        return super().convert(value, param, ctx)


@click.group("encoders")
def encoders_command() -> None:
    """List, show, verify, register, delete, pretrain and export encoders; label crystals."""


@encoders_command.command("list", cls=Command)
@json_option
@click.pass_obj
def list_command(lake: LakePath, output: Output) -> None:
    """List the encoders shipped with matlake and those in the lake."""
    from matlake.encoders.listing import encoder_summary, encoder_table
    from matlake.store.folders import LakeFolders

    found = LakeFolders(lake).list_encoders()
    output.document({"encoders": [encoder_summary(encoder) for encoder in found]}, [encoder_table(found)])


@encoders_command.command("show", cls=Command)
@click.argument("name", shell_complete=encoders)
@json_option
@click.pass_obj
def show_command(lake: LakePath, name: str, output: Output) -> None:
    """Show the card of an encoder: layers, training data, errors, licence, citations."""
    from matlake.encoders.listing import card_lines, encoder_document
    from matlake.store.folders import LakeFolders

    found = LakeFolders(lake).find_encoder(name)
    output.document(encoder_document(found), card_lines(found))


@encoders_command.command("verify", cls=Command)
@click.argument("name", shell_complete=encoders)
@json_option
@click.pass_obj
def verify_command(lake: LakePath, name: str, output: Output) -> int:
    """Check an encoder against its contract. The exit code is 1 if a check fails."""
    from matlake.store.external.verifying import verify
    from matlake.store.folders import LakeFolders

    report = verify(LakeFolders(lake), name)
    output.document(report.document(), report.lines())
    return 0 if report.passed else EXIT_FAILED


@encoders_command.command("register", cls=Command)
@option("--onnx", required=True, type=FILE, help="Register this ONNX graph, with its weights inline.")
@option("--card", required=True, type=FILE, help="Read its card from this JSON file; see docs/science/encoders.md.")
@option("--name", help="Name the encoder.  [default: the name on the card]")
@option("--replace", is_flag=True, help="Replace an encoder of this name, unless heads or vectors are bound to it.")
@json_option
@click.pass_obj
def register_command(lake: LakePath, onnx: Path, card: Path, name: str | None, replace: bool, output: Output) -> None:
    """Register an ONNX graph as an encoder of the lake, if it passes the checks of the contract."""
    from matlake.api.registering import register
    from matlake.store.lake import open_lake

    report = register(open_lake(lake, create=True), onnx, card, name=name, replace=replace)
    output.document(report.document(), report.lines())


@encoders_command.command("delete", cls=Command)
@click.argument("name", shell_complete=encoders)
@option("--vectors", is_flag=True, help="Delete its vectors, too.")
@json_option
@click.pass_obj
def delete_command(lake: LakePath, name: str, vectors: bool, output: Output) -> None:
    """Delete an encoder of the lake, or the lake's copy of a packaged one, unless a head is bound to it."""
    from matlake.api.registering import delete
    from matlake.store.lake import open_lake

    dropped = delete(open_lake(lake), name, vectors=vectors)
    also = f" and {dropped:,} vectors" if dropped else ""
    output.document({"deleted": name, "vectors": dropped}, [f"deleted encoder {name}{also}"])


@encoders_command.command("export", cls=Command)
@click.argument("architecture", type=ArchitectureChoice(EXPORTABLE))
@option(
    "--checkpoint",
    required=True,
    type=ANY_PATH,
    help="Export this network: the folder of a pretraining run, its best.pt, or a published checkpoint (for matgl the "
    "folder with model.json and state.pt).",
)
@option("--name", required=True, help="Name the encoder.")
@option(
    "--output", "folder", type=PLACE, help="Write the encoder to this folder or address.  [default: LAKE/encoders/NAME]"
)
@option("--replace", is_flag=True, help="Replace an encoder of this name.")
@option(
    "--precision",
    type=click.Choice(["float32", "float16", "int8"]),
    default="float32",
    help="Store weights in this precision. float16 halves the file and computes in float32; int8 (ElemNet) also "
    "computes faster.",
)
@_card("--data", type=FILE, help="Measure errors on the held-out rows of this table, which the network was trained on.")
@_card("--dataset", help="Use this dataset of the lake instead of --data.")
@_card(
    "--database",
    type=click.Choice(["oqmd", "mp"]),
    help="Take licence and citation from the database that the table comes from.",
)
@_card("--licence", help="State the licence of the weights.")
@_card("--citation", multiple=True, help="Cite a paper or data set. Repeatable.")
@_card(
    "--release",
    type=AT_LEAST_ONE,
    help="Number this release of the weights.  [default: 1, or one more than the release replaced]",
)
@_graph("--cutoff", type=POSITIVE, help="Cutoff in Å.")
@_graph(
    "--max-neighbours", type=click.IntRange(min=0), help="Keep this many neighbours; 0 keeps all within the cutoff."
)
@json_option
@click.pass_obj
def export_command(
    lake: LakePath,
    /,
    name: str,
    folder: LakePath | None,
    data: Path | None,
    dataset: str | None,
    output: Output,
    **settings: Any,
) -> None:
    """Export a trained network to ONNX, check that the two agree on real materials, and write its card."""
    from matlake.api.making_encoders import export
    from matlake.encoders.listing import export_lines
    from matlake.store.folders import LakeFolders

    folder = folder or LakeFolders(lake).encoders_folder / name
    _check_table(data, dataset)
    card = export(lake, name=name, folder=folder, data=data, dataset=dataset, **settings)
    document = {
        "encoder": card.name,
        "folder": str(folder),
        "sha256": card.sha256,
        "precision": card.precision,
        "parity": card.parity,
        "metrics": card.metrics,
    }
    output.document(document, export_lines(card, folder))


@encoders_command.command("label", cls=Command)
@click.argument("table", type=FILE, required=False)
@option("--dataset", help="Label this dataset of the lake instead of a table.")
@option("--output", "file", required=True, type=ANY_PATH, help="Write the labelled table to this .parquet file.")
@option("--teacher", default="chgnet-mptrj", help="Take energies from this encoder.")
@option("--structure-column", help="Read structures (CIF, POSCAR, pymatgen JSON) from this column.")
@option("--max-atoms", type=AT_LEAST_ONE, help="Compute only the volume of crystals with more atoms.  [default: 50]")
@option("--workers", type=AT_LEAST_ONE, default=1, help="Use this many threads.")
@device_option
@json_option
@click.pass_obj
def label_command(
    lake: LakePath,
    /,
    table: Path | None,
    dataset: str | None,
    file: Path,
    max_atoms: int | None,
    output: Output,
    **settings: Any,
) -> int:
    """Label the crystals of a table with moduli and a highest phonon frequency, from energies that an encoder predicts.

    Run it again to resume.

    Networks that learn several targets take these labels: see docs/guides/training-encoders.md.
    """
    from matlake.api.making_encoders import label

    if (table is None) == (dataset is None):
        raise click.UsageError("name a TABLE or --dataset NAME" + ", not both" * (table is not None))
    settings |= {} if max_atoms is None else {"max_atoms": max_atoms}
    with progress("labelling", "rows") as reporter:
        report = label(lake, reporter, data=table, dataset=dataset, output=file, **settings)
    output.document(report.document(), report.lines())
    return EXIT_SOME_ROWS_FAILED if report.problems else 0


@encoders_command.command("pretrain", cls=Command)
@click.argument("architecture", type=ArchitectureChoice(TRAINABLE))
@option("--output", "folder", required=True, type=FOLDER, help="Write the run to this folder, or resume it there.")
@_data("--data", type=FILE, help="Train on this table (CSV, Parquet).")
@_data("--dataset", help="Use this dataset of the lake instead of --data.")
@_data("--formula-column", help="Read formulas from this column, for ElemNet.  [default: formula]")
@_data("--structure-column", help="Read structures (CIF, POSCAR, pymatgen JSON) from this column, for graph networks.")
@_data(
    "--target",
    "targets",
    multiple=True,
    default=["formation_energy_eV_per_atom"],
    help="Learn this column; its name ends in the unit (band_gap_eV). Repeatable: a network can learn several.",
)
@_data("--unit", help="State the unit of the target if the column's name does not end in it.")
@_data("--split-column", help="Read train, val and test from this column.  [default: a random split by composition]")
@_data(
    "--hold-out",
    metavar="SQL",
    help='Test on rows that satisfy this condition, such as "year > 2005", and never train on their compositions.',
)
@_data("--max-abs", type=click.FloatRange(min=0), help="Drop rows with a larger absolute target.")
@_network(
    "--size",
    "sizes",
    multiple=True,
    type=_size,
    metavar="NAME=NUMBER",
    help="Set a size of the network, such as hidden_channels=128. Repeatable.",
)
@_network(
    "--max-neighbours",
    type=click.IntRange(min=0),
    help="Keep this many neighbours in graphs; 0 keeps all within the cutoff.",
)
@_training("--epochs", type=AT_LEAST_ONE, help="Train for this many epochs.")
@_training("--batch-size", type=AT_LEAST_ONE, help="Use this many rows per step.")
@_training("--learning-rate", type=POSITIVE, help="Peak learning rate of the schedule.")
@_training("--weight-decay", type=click.FloatRange(min=0), help="Decoupled weight decay; 0 is plain Adam.")
@_training(
    "--averaging",
    type=click.FloatRange(0, 1, max_open=True),
    help="Average the weights with this decay, between 0 and 1; 0 turns it off.",
)
@_training("--patience", type=AT_LEAST_ONE, help="Stop after this many epochs without improvement.")
@_training("--mixed-precision", is_flag=True, default=None, help="Use bfloat16 on CUDA where it is safe.")
@_training("--seed", type=int, help="Seed initial weights, order of rows and random split.")
@device_option
@option("--threads", type=AT_LEAST_ONE, help="Use this many threads on the CPU.")
@json_option
@click.pass_obj
def pretrain_command(
    lake: LakePath,
    /,
    architecture: str,
    data: Path | None,
    dataset: str | None,
    folder: Path,
    sizes: tuple[tuple[str, float], ...],
    output: Output,
    **settings: Any,
) -> None:
    """Train a network on a table of materials and values. Run it again to resume.

    The defaults of sizes and training depend on the architecture: see docs/guides/training-encoders.md.
    """
    from matlake.api.making_encoders import pretrain

    _check_table(data, dataset)
    if data is None and dataset is None:
        raise click.UsageError("give --data FILE or --dataset NAME")
    with progress(f"training {architecture}", "epochs") as reporter:
        record = pretrain(
            lake, architecture, folder, reporter, data=data, dataset=dataset, sizes=dict(sizes), **settings
        )
    from matlake.export.pretraining.report import run_document, run_lines  # needs torch, which pretrain asks for

    output.document(run_document(record, folder), run_lines(record, folder))


def _check_table(data: Path | None, dataset: str | None) -> None:
    if data is not None and dataset is not None:
        raise click.UsageError("give --data or --dataset, not both")
