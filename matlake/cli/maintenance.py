"""Commands for the upkeep of a lake: check, compact."""

import click

from matlake.cli.main import EXIT_FAILED, json_option
from matlake.cli.options import Command, option
from matlake.cli.output import Output, progress
from matlake.store.storage.places import LakePath

_retention_option = option(
    "--retention-hours",
    type=click.IntRange(min=0),
    default=24,
    help="Keep unused files for this many hours. 0 is safe only if no other process uses the lake.",
)


@click.command("check", cls=Command)
@option("--repair", is_flag=True, help="Repair what can be repaired; never remove what cannot be made again.")
@_retention_option
@json_option
@click.pass_obj
def check_command(lake: LakePath, /, *, repair: bool, retention_hours: int, output: Output) -> int:
    """Compare every file of the lake with its digest, and name damaged files.

    Exits with 1 when something is damaged and not repaired.
    """
    from matlake.store.lake import open_lake
    from matlake.store.maintenance.check import check

    with progress("checking", "parts") as reporter:
        report = check(open_lake(lake), repair=repair, retention_hours=retention_hours, progress=reporter)
    output.document(report.document(), report.lines())
    return 0 if report.sound else EXIT_FAILED


@click.command("compact", cls=Command)
@option(
    "--drop-unused",
    is_flag=True,
    help="Drop vectors, failures and predictions of contents that are in no dataset, and stale predictions.",
)
@_retention_option
@json_option
@click.pass_obj
def compact_command(lake: LakePath, /, *, drop_unused: bool, retention_hours: int, output: Output) -> None:
    """Merge small files, and remove unused ones. Other processes may read and write meanwhile."""
    from matlake.store.lake import open_lake
    from matlake.store.maintenance.compact import compact

    with progress("compacting", "partitions") as reporter:
        report = compact(open_lake(lake), drop_unused=drop_unused, retention_hours=retention_hours, progress=reporter)
    output.document(report.document(), report.lines())
