"""The command ``suggest``."""

import click

from matlake.cli.main import json_option
from matlake.cli.options import AT_LEAST_ONE, Command, option, row_options, section
from matlake.cli.output import Output
from matlake.store.storage.places import LakePath

_goal = section("With --for value")


@click.command("suggest", cls=Command)
@option("--head", required=True, help="Suggest by the predictions of this head.")
@option("--n", type=AT_LEAST_ONE, default=20, help="Suggest this many materials, to be measured together.")
@option(
    "--for",
    "purpose",
    type=click.Choice(["value", "uncertainty", "diversity"]),
    default="value",
    help="Find wanted values, improve the head where its expected errors are largest, or explore far from all "
    "training materials.",
)
@_goal("--maximise", is_flag=True, help="Find the highest values. The default.")
@_goal("--minimise", is_flag=True, help="Find the lowest values.")
@_goal("--near", type=float, help="Find values near this one.")
@_goal("--between", type=(float, float), metavar="LOW HIGH", help="Find values in this range.")
@row_options
@json_option
@click.pass_obj
def suggest_command(
    lake: LakePath,
    /,
    *,
    head: str,
    n: int,
    purpose: str,
    maximise: bool,
    minimise: bool,
    near: float | None,
    between: tuple[float, float] | None,
    dataset: str | None,
    where: str | None,
    output: Output,
) -> None:
    """Suggest which materials of the lake to measure next, with the reason for each.

    Materials whose composition was measured are left out, as far as the head's training and test rows tell.
    """
    from matlake.regress.suggesting.acquisition import Goal
    from matlake.regress.suggesting.suggest import Purpose, SuggestRequest, suggest
    from matlake.store.lake import open_lake

    if maximise + minimise + (near is not None) + (between is not None) > 1:
        raise click.UsageError("give one of --maximise, --minimise, --near and --between")
    if purpose != Purpose.VALUE and (maximise or minimise or near is not None or between is not None):
        raise click.UsageError("--maximise, --minimise, --near and --between go with --for value")
    goal = Goal.of(minimise=minimise, near=near, between=between)
    report = suggest(open_lake(lake), SuggestRequest(head, n, Purpose(purpose), goal, dataset, where))
    output.document(report.document(), report.lines())
