"""The command ``quickstart``."""

import os
from pathlib import Path

import click

from matlake.cli.main import json_option
from matlake.cli.options import Command
from matlake.cli.output import JsonOutput, Output, note, progress


@click.command("quickstart", cls=Command)
@json_option
@click.pass_obj
def quickstart_command(lake: Path, output: Output) -> None:
    """Run the main job on the samples that come with matlake, from import to plots, in about two minutes.

    The samples are 4,604 measured band gaps, and the bulk moduli of 1,181 crystals.
    """
    from matlake.quickstart import quickstart

    say = note if isinstance(output, JsonOutput) else click.echo
    output.document(quickstart(lake, say, progress, os.cpu_count() or 1), [])
