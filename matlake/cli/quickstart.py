"""The command ``quickstart``."""

import click

from matlake.cli.main import json_option
from matlake.cli.options import Command
from matlake.cli.output import JsonOutput, Output, note, progress
from matlake.platforms import usable_cores
from matlake.store.storage.places import LakePath


@click.command("quickstart", cls=Command)
@json_option
@click.pass_obj
def quickstart_command(lake: LakePath, output: Output) -> None:
    """Go from import to plots on sample data in about two minutes.

    The data are 4,720 measured band gaps and the bulk moduli of 1,181 crystals; both come with matlake.
    """
    from matlake.quickstart import quickstart

    say = note if isinstance(output, JsonOutput) else click.echo
    output.document(quickstart(lake, say, progress, usable_cores()), [])
