"""The commands ``train`` and ``finetune``."""

from typing import Any

import click

from matlake.cli.completion import heads
from matlake.cli.main import json_option
from matlake.cli.options import (
    AT_LEAST_ONE,
    POSITIVE,
    Command,
    as_of_option,
    names,
    option,
    row_options,
    section,
    seed_option,
)
from matlake.cli.output import Output, open_as_of, progress
from matlake.store.storage.places import LakePath

_data = section("Data")
_model = section("Model")


@click.command("train", cls=Command)
@_data(
    "--target",
    required=True,
    metavar="PROPERTY[,…]",
    help="Learn this property: a column, such as band_gap_eV, or an SQL expression of columns. log10(…), ln(…) or "
    "sqrt(…) around it is the scale on which it is learned; predictions are in its own unit. Of a condition, such as "
    "'band_gap_eV = 0', or a column of true and false, the head predicts the probability. Several, with commas, make "
    "one head.",
)
@_data(
    "--features",
    type=names,
    metavar="NAME[@LAYER][,…]",
    help="Learn from the embeddings of these encoders or layers, side by side (NAME@1+2: several layers; NAME@all: all "
    "hidden ones). Embed them first, except for the descriptors fractions, magpie and geometry. column:NAME is "
    "a column of numbers, such as column:temperature_K; each prediction then needs a value of it. Required, except for "
    "fine-tune:ENCODER, which takes crystals or formulas themselves.",
)
@row_options
@as_of_option
@_data("--weights", metavar="EXPRESSION", help="Weight rows by this column or SQL expression; only ratios matter.")
@_data(
    "--uncertainty",
    metavar="EXPRESSION",
    help="Weight rows by the standard uncertainties in this column or SQL expression, in the target's unit: the "
    "larger, the less a row counts.",
)
@_model(
    "--transform",
    type=click.Choice(["none", "log", "sqrt", "auto"]),
    default="auto",
    help="Learn a positive property as its logarithm or its square root. auto decides by cross-validation.",
)
@_model(
    "--model",
    default="auto",
    help="Fit this regressor: ridge, svr, kernel-ridge, random-forest, … (docs/science/models.md); ir-net, or "
    "ir-net:512-256 for blocks of these widths; fine-tune:ENCODER, mod-fine-tune:ENCODER or freezing:ENCODER to start "
    "from an ElemNet's weights; fine-tune:ENCODER of a crystal network to train all of it end to end "
    "(docs/guides/fine-tuning.md). auto chooses by cross-validation.",
)
@_model(
    "--adversarial",
    type=click.Choice(["cal", "sal"]),
    help="Train an IR-net on adversarial samples as well (docs/science/adversarial.md).",
)
@_model("--max-fits", type=AT_LEAST_ONE, help="Stop the model search after this many fits.  [default: 45]")
@_model(
    "--max-seconds",
    type=POSITIVE,
    help="Stop the model search after this many seconds. Then the machine's speed helps to decide which model is "
    "chosen.  [default: no limit]",
)
@option(
    "--split",
    default="random",
    help="Choose the test rows by this method: random, chemical-system, cluster, element:O, value:high, time:year, … "
    "(docs/science/splits.md). Equal compositions stay together.",
)
@option(
    "--minimum",
    type=float,
    former=["--min"],
    help="Keep predictions and intervals at or above this value, in the target's unit; -inf for no bound.  "
    "[default: 0 where the training labels are plain about it]",
)
@option(
    "--maximum",
    type=float,
    former=["--max"],
    help="Keep predictions and intervals at or below this value.",
)
@option("--name", help="Name the head. An existing one of that name is replaced.  [default: TARGET-MODEL]")
@seed_option
@json_option
@click.pass_obj
def train_command(
    lake: LakePath,
    /,
    features: tuple[str, ...] | None,
    max_fits: int | None,
    max_seconds: float | None,
    as_of: str | None,
    output: Output,
    **request: Any,
) -> None:
    """Train a regressor on embeddings, compare it with baselines, calibrate its intervals, and save it as a head."""
    from matlake.regress.heads.card import Budget
    from matlake.regress.heads.request import TrainRequest, needs_features
    from matlake.regress.heads.train import train

    if not features and needs_features(request["model"]):
        raise click.UsageError("Missing option '--features'.")
    usual = Budget()
    budget = Budget(max_fits or usual.fits, max_seconds)
    opened = open_as_of(lake, as_of)
    with progress("choosing a model", "fits") as reporter:
        result = train(opened, TrainRequest(features=list(features or ()), budget=budget, **request), reporter)
    output.document(result.document(), result.lines())


@click.command("finetune", cls=Command)
@click.argument("head", shell_complete=heads)
@option(
    "--where",
    "target_rows",
    required=True,
    metavar="SQL",
    former=["--target-rows"],
    help="Fine-tune on the materials that satisfy this condition, such as \"dataset = 'piezo'\".",
)
@option(
    "--method",
    type=click.Choice(["plain", "cal", "cal-inputs"]),
    default="plain",
    help="Train on the selected rows (plain), on adversarial samples of them as well (cal), or on adversarial samples "
    "made without their labels (cal-inputs).",
)
@option("--name", help="Name the new head. An existing one of that name is replaced.  [default: HEAD-METHOD]")
@seed_option
@json_option
@click.pass_obj
def finetune_command(lake: LakePath, /, output: Output, **request: Any) -> None:
    """Fine-tune an IR-net on a target domain, measure it before and after, and save it as a new head.

    A fifth of the target's compositions is held out for testing. The old head is kept. See docs/science/adversarial.md.
    """
    from matlake.extras import require_extra

    require_extra("train", "fine-tuning")
    from matlake.regress.finetuning.finetune import FinetuneRequest, finetune
    from matlake.store.lake import open_lake

    with progress("fine-tuning", "fits") as reporter:
        result = finetune(open_lake(lake), FinetuneRequest(**request), reporter)
    output.document(result.document(), result.lines())
