"""The command ``doctor``."""

import click

from matlake.cli.main import EXIT_FAILED, json_option
from matlake.cli.options import Command
from matlake.cli.output import Output
from matlake.store.storage.places import LakePath


@click.command("doctor", cls=Command)
@json_option
@click.pass_obj
def doctor_command(lake: LakePath, output: Output) -> int:
    """Check what this machine can run: packages, ONNX Runtime, memory, limits, the disk, and whether the lake opens.

    The exit code is 1 if something is broken that every user needs.
    """
    from matlake.diagnosis.doctor import doctor

    report = doctor(lake)
    output.document(report.document(), report.lines())
    return 0 if report.passed else EXIT_FAILED
