"""The command ``finetune``."""

from pathlib import Path
from typing import Any

import click

from matlake.cli.main import json_option
from matlake.cli.options import Command, option, seed_option
from matlake.cli.output import Output, progress


@click.command("finetune", cls=Command)
@click.argument("head")
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
def finetune_command(lake: Path, /, output: Output, **request: Any) -> None:
    """Fine-tune an IR-net on a target domain, measure it before and after, and save it as a new head.

    A fifth of the target's compositions is held out for testing. The old head is kept. See docs/adversarial.md.
    """
    from matlake.extras import require_extra

    require_extra("train", "fine-tuning")
    from matlake.regress.finetuning.finetune import FinetuneRequest, finetune
    from matlake.store.lake import open_lake

    with progress("fine-tuning", "fits") as reporter:
        result = finetune(open_lake(lake), FinetuneRequest(**request), reporter)
    output.document(result.document(), result.lines())
