"""The command ``sql``."""

from pathlib import Path

import click

from matlake.cli.options import FILE, POSITIVE, Command, as_of_option, section
from matlake.cli.output import ConsoleOutput, json_text, note, open_as_of
from matlake.store.storage.places import LakePath

_result = section("Result")
_limits = section("Limits")


@click.command("sql", cls=Command)
@click.argument("statement")
@as_of_option
@_result(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "tsv", "json", "jsonl", "parquet", "arrow"]),
    help="Print the result in this format; parquet and arrow need --output.  [default: table]",
)
@_result(
    "--output",
    "target",
    type=FILE,
    help="Write the result to this file, in the format of its extension: .csv, .tsv, .json, .jsonl, .parquet, .arrow.",
)
@_limits("--memory-limit", metavar="SIZE", help="Use at most this memory, such as 2GB.  [default: a quarter]")
@_limits("--max-seconds", type=POSITIVE, help="Stop the query after this time.  [default: never]")
@click.pass_obj
def sql_command(
    lake: LakePath,
    statement: str,
    form: str | None,
    target: Path | None,
    memory_limit: str | None,
    max_seconds: float | None,
    as_of: str | None,
) -> None:
    """Run a read-only SQL query on the lake.

    Query the views materials, embeddings and failures, one view per dataset, and embed.NAME for each encoder.
    """
    from matlake.store.sql_output import render, result_table
    from matlake.store.table_files import BINARY, write_tables

    if target is not None:
        form = file_format(target, form)
    elif form in BINARY:
        raise click.UsageError(f"--format {form} needs --output FILE")
    opened = open_as_of(lake, as_of)
    if target is not None:
        opened.check_output(target)
    result = opened.query(statement, memory_limit=memory_limit, max_seconds=max_seconds)
    if target is not None:
        write_tables(target, result.schema, [result], form)
        note(f"wrote {result.num_rows:,} rows to {target}")
    elif form is None or form == "table":
        ConsoleOutput().document({}, [result_table(result)])
    else:
        text = render(result, form).decode().rstrip("\n")
        click.echo(json_text(text) if form in ("json", "jsonl") else text)


def file_format(target: Path, form: str | None) -> str:
    """Return the format of a file by its ending, before any work is done for it."""
    from matlake.errors import SourceError
    from matlake.store.table_files import table_format

    try:
        found = table_format(target)
    except SourceError as error:
        raise click.UsageError(f"{error} ({error.hint})") from error
    if form not in (None, found):
        raise click.UsageError(f"--format {form} contradicts the ending of {target}: leave one of them out")
    if not target.absolute().parent.is_dir():
        raise click.UsageError(f"there is no folder {target.absolute().parent}")
    return found
