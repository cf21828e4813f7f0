"""The command ``train``."""

from pathlib import Path

import click

from matlake.cli.main import json_option
from matlake.cli.output import Output, note, progress


@click.command("train")
@click.option("--target", required=True, help="Property to learn: a numeric column of the view materials.")
@click.option(
    "--features",
    required=True,
    help="NAME[@LAYER][,NAME[@LAYER]…], each embedded before; the descriptors fractions and magpie need not be.",
)
@click.option("--dataset", help="Only this dataset.")
@click.option("--where", help='Only materials that this SQL predicate selects, such as "band_gap_eV > 0".')
@click.option(
    "--model",
    default="auto",
    show_default=True,
    help="ridge, svr, kernel-ridge, random-forest, … (docs/models.md); fine-tune:ENCODER, mod-fine-tune:ENCODER or "
    "freezing:ENCODER to train an ElemNet's weights on; ir-net, or ir-net:512-256 for blocks of these widths; or auto "
    "to choose by cross-validation.",
)
@click.option(
    "--adversarial",
    type=click.Choice(["cal", "sal"]),
    help="Let an IR-net learn from adversarial samples too (docs/adversarial.md).",
)
@click.option(
    "--split",
    default="random",
    show_default=True,
    help="How rows are set aside for testing: random, chemical-system, cluster, element:O, value:high, time:year, … "
    "(docs/splits.md). Equal compositions stay together.",
)
@click.option("--name", help="Name of the head; one of that name is replaced. TARGET-MODEL where not given.")
@click.option("--max-fits", type=click.IntRange(min=1), help="Fits that the search for model and parameters may take.")
@click.option(
    "--max-seconds", type=click.FloatRange(min=0.0, min_open=True), help="Seconds that it may take; ends it early."
)
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
    adversarial: str | None,
    split: str,
    name: str | None,
    max_fits: int | None,
    max_seconds: float | None,
    seed: int,
    output: Output,
) -> None:
    """Train a regressor on embeddings, measure it beside its baselines, calibrate it, save it as a head."""
    from matlake.regress.heads.card import Budget
    from matlake.regress.heads.train import TrainRequest, train
    from matlake.store.lake import open_lake

    if dataset and where:
        raise click.UsageError("--dataset and --where exclude each other: put dataset = '…' into the predicate")
    usual = Budget()
    budget = Budget(max_fits or usual.fits, max_seconds or usual.seconds)
    request = TrainRequest(target, features.split(","), model, dataset, where, split, name, seed, budget, adversarial)
    with progress("choosing a model", "fits") as track:
        result = train(open_lake(lake), request, note, track)
    output.document(result.document(), result.lines())
