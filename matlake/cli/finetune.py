"""The command ``finetune``."""

from pathlib import Path

import click

from matlake.cli.main import json_option
from matlake.cli.output import Output, note


@click.command("finetune")
@click.argument("head")
@click.option(
    "--target-rows",
    required=True,
    help="SQL predicate that selects the rows of the target domain, such as \"dataset = 'piezo'\".",
)
@click.option(
    "--method",
    type=click.Choice(["plain", "cal", "cal-inputs"]),
    default="plain",
    show_default=True,
    help="plain: on the rows; cal: on adversarial samples of them too; cal-inputs: on such samples, without labels.",
)
@click.option("--name", help="Name of the new head; HEAD-METHOD where not given. One of that name is replaced.")
@click.option("--seed", type=click.IntRange(min=0, max=2**32 - 1), default=0, show_default=True)
@json_option
@click.pass_obj
def finetune_command(
    lake: Path, head: str, target_rows: str, method: str, name: str | None, seed: int, output: Output
) -> None:
    """Train a saved IR-net on rows of a target domain, measure it before and after, save it as a new head.

    A fifth of the target's compositions is tested on. The old head stays as it is. See docs/adversarial.md.
    """
    from matlake.extras import require_extra

    require_extra("train", "fine-tuning")
    from matlake.regress.finetuning.finetune import FinetuneRequest, finetune
    from matlake.store.lake import open_lake

    result = finetune(open_lake(lake), FinetuneRequest(head, target_rows, method, name, seed), note)
    output.document(result.document(), result.lines())
