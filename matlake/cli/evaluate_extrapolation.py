"""The command ``evaluate extrapolation``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from matlake.cli.main import EXIT_SOME_ROWS_FAILED, json_option
from matlake.cli.output import Output, note, progress
from matlake.networks.architectures import GRAPH_NETWORKS

if TYPE_CHECKING:
    from matlake.encoders.registry import RegisteredEncoder
    from matlake.encoders.training_contents import TrainingContents
    from matlake.store.lake import Lake
    from matlake.studies.extrapolation.methods import Network

_STARTS: Final = ("scratch", "fine-tune")


@click.command("extrapolation")
@click.option("--target", required=True, help="Numeric property column.")
@click.option("--splits", required=True, help="Splits, comma-separated, as for train: 'group:halogens,value:high'.")
@click.option(
    "--features",
    required=True,
    help="Embedded encoders, comma-separated and then side by side; several sets separated by ';'.",
)
@click.option("--models", help="Regressors, comma-separated; those of the decoupled-transfer study where not given.")
@click.option(
    "--networks",
    help=f"Networks to train end to end, comma-separated: {', '.join(GRAPH_NETWORKS)}, or encoders of crystals; "
    "default: none.",
)
@click.option(
    "--starts", default=",".join(_STARTS), show_default=True, help="How networks begin: scratch, fine-tune or both."
)
@click.option("--epochs", type=click.IntRange(min=1), help="Most epochs of a network.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True, help="Of networks.")
@click.option("--dataset", help="Only this dataset.")
@click.option("--where", help="Only materials that this SQL predicate selects.")
@click.option("--seeds", type=click.IntRange(min=1), default=3, show_default=True, help="How many seeds.")
@click.option("--network-seeds", type=click.IntRange(min=0), help="Of them, those that networks are trained with.")
@click.option(
    "--parameters",
    type=click.Choice(["chosen", "default"]),
    default="chosen",
    show_default=True,
    help="Of regressors: chosen by cross-validation on training rows, or the catalogue's default.",
)
@click.option(
    "--few",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Training rows from which an element counts as seen.",
)
@click.option(
    "--seen",
    "tables",
    multiple=True,
    help="Table or dataset that an encoder was trained on, to know what it saw; may be repeated.",
)
@click.option(
    "--leakage",
    "policy",
    type=click.Choice(["labels", "contents", "report"]),
    default="labels",
    show_default=True,
    help="Refuse where an encoder may know the tested values, the tested compositions, or never.",
)
@click.option("--name", default="extrapolation", show_default=True, help="Of the evaluation; one of that name goes on.")
@click.option(
    "--budget", type=click.FloatRange(min=0.0, min_open=True), help="Seconds after which nothing more is begun."
)
@click.option(
    "--output", "folder", type=click.Path(path_type=Path, file_okay=False), help="Folder for tables and plots."
)
@json_option
@click.pass_obj
def extrapolation_command(
    lake: Path,
    target: str,
    splits: str,
    features: str,
    models: str | None,
    networks: str | None,
    starts: str,
    epochs: int | None,
    device: str,
    dataset: str | None,
    where: str | None,
    seeds: int,
    network_seeds: int | None,
    parameters: str,
    few: int,
    tables: tuple[str, ...],
    policy: str,
    name: str,
    budget: float | None,
    folder: Path | None,
    output: Output,
) -> int | None:
    """Compare heads on frozen embeddings with networks trained end to end, outside of what they were trained on.

    All predict the same test rows of each split. Measurements are rows of the table "extrapolations" of the lake: a run
    that was stopped goes on where it stopped.
    """
    from matlake.store.lake import open_lake
    from matlake.studies.extrapolation.evaluate import ExtrapolationRequest, evaluate_extrapolation
    from matlake.studies.extrapolation.files import write_report
    from matlake.studies.extrapolation.methods import DEFAULT_MODELS

    if dataset and where:
        raise click.UsageError("--dataset and --where exclude each other: put dataset = '…' into the predicate")
    unknown = [start for start in _names(starts) if start not in _STARTS]
    if unknown:
        raise click.UsageError(f"--starts takes {' and '.join(_STARTS)}, not {', '.join(unknown)}")
    opened = open_lake(lake)
    sets = tuple(_names(one) for one in features.split(";") if one.strip())
    request = ExtrapolationRequest(
        target=target,
        splits=_names(splits),
        features=sets,
        models=_names(models) if models else DEFAULT_MODELS,
        dataset=dataset,
        where=where,
        seeds=seeds,
        network_seeds=network_seeds,
        parameters=parameters,
        few=few,
        policy=policy,
        name=name,
        seconds=budget,
    )
    encoders = network_encoders(opened, _names(networks), sets)
    trained = end_to_end(encoders, target, _names(starts), epochs, device)
    with progress("evaluating", "measurements") as track:
        result = evaluate_extrapolation(opened, request, trained, seen_by(opened, tables, sets, encoders), note, track)
    if folder:
        write_report(result, folder)
    output.document(result.document(), result.lines())
    return EXIT_SOME_ROWS_FAILED if result.report.skipped else None


def network_encoders(lake: "Lake", names: Sequence[str], sets: Sequence[Sequence[str]]) -> "list[RegisteredEncoder]":
    """Return the encoders whose networks are trained end to end.

    Args:
        lake: Its registry holds they.
        names: Encoders, or architectures: of one, the first encoder among the features is meant, or the only one there
            is.
        sets: The features.

    Raises:
        EncoderError: There is no such encoder, or an architecture does not tell one.
    """
    from matlake.encoders.layer_ref import LayerRef
    from matlake.errors import EncoderError

    used = list(dict.fromkeys(LayerRef.parse(feature).encoder for one in sets for feature in one))
    found = []
    for name in names:
        if name not in GRAPH_NETWORKS:
            found.append(lake.find_encoder(name))
            continue
        registered = {one.card.name: one for one in lake.list_encoders() if one.card.architecture == name}
        named = [registered[one] for one in used if one in registered] or list(registered.values())
        if not named or (len(named) > 1 and named[0].card.name not in used):
            known = ", ".join(one.card.name for one in named) or "none"
            raise EncoderError(f"{name} does not tell which encoder's network is meant: there are {known}", "name it")
        found.append(named[0])
    return list({one.card.name: one for one in found}.values())


def end_to_end(
    encoders: "Sequence[RegisteredEncoder]", target: str, starts: Sequence[str], epochs: int | None, device: str
) -> "Sequence[Network]":
    """Return the ways of training networks end to end; none where there are no encoders, and then without torch."""
    if not encoders:
        return ()
    from matlake.extras import require_extra

    require_extra("train", "training networks end to end")
    from matlake.studies.extrapolation.end_to_end import end_to_end_networks

    return end_to_end_networks(encoders, target, starts=starts, epochs=epochs, device=device)


def seen_by(
    lake: "Lake", tables: Sequence[str], sets: Sequence[Sequence[str]], encoders: "Sequence[RegisteredEncoder]"
) -> "dict[str, TrainingContents]":
    """Return what the encoders in question were trained on, from the tables given: files, or datasets of the lake."""
    if not tables:
        return {}
    from matlake.encoders.layer_ref import LayerRef
    from matlake.export.pretraining.training_contents import read_training_contents
    from matlake.export.pretraining.training_data import TrainingTable

    names = dict.fromkeys(LayerRef.parse(feature).encoder for one in sets for feature in one)
    cards = {name: lake.find_encoder(name).card for name in names} | {one.card.name: one.card for one in encoders}
    known = lake.dataset_names()
    read = [
        TrainingTable(table, *lake.read_dataset(table)) if table in known else TrainingTable.from_file(Path(table))
        for table in tables
    ]
    return read_training_contents(read, cards.values())


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip()) if text else ()
