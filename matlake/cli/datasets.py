"""The commands ``datasets …``: list, show, delete, rename and export datasets."""

import sys
from pathlib import Path

import click

from matlake.cli.completion import datasets
from matlake.cli.main import json_option
from matlake.cli.options import FILE, Command, option
from matlake.cli.output import JsonOutput, Output
from matlake.store.storage.places import LakePath


@click.group("datasets", invoke_without_command=True)
@click.pass_context
def datasets_command(context: click.Context) -> None:
    """List, show, delete, rename and export datasets."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


@datasets_command.command("list", cls=Command)
@json_option
@click.pass_obj
def list_command(lake: LakePath, output: Output) -> None:
    """List the datasets in the lake."""
    from matlake.store.datasets import dataset_table
    from matlake.store.lake import open_lake

    datasets = open_lake(lake).list_datasets()
    output.document(
        {"datasets": [dataset.document() for dataset in datasets]},
        [dataset_table(datasets)] if datasets else ["no datasets yet: `matlake import` makes one"],
    )


@datasets_command.command("show", cls=Command)
@click.argument("name", shell_complete=datasets)
@json_option
@click.pass_obj
def show_command(lake: LakePath, name: str, output: Output) -> None:
    """Show a dataset: where it is from, its properties with types, units, missing values and ranges."""
    from matlake.store.lake import open_lake

    details = open_lake(lake).show_dataset(name)
    output.document(details.document(), details.lines())


@datasets_command.command("delete", cls=Command)
@click.argument("name", shell_complete=datasets)
@option("--yes", is_flag=True, help="Do not ask.")
@json_option
@click.pass_obj
def delete_command(lake: LakePath, name: str, yes: bool, output: Output) -> None:
    """Delete a dataset. Embeddings belong to contents and stay, as do heads."""
    from matlake.store.lake import open_lake

    opened = open_lake(lake)
    opened.check_dataset(name)
    if not yes:
        if isinstance(output, JsonOutput) or not sys.stdin.isatty():
            raise click.UsageError(f"nobody can be asked: give --yes to delete dataset {name}")
        click.confirm(f"Delete dataset {name}?", abort=True, err=True)
    opened.delete_dataset(name)
    output.document({"deleted": name}, [f"deleted dataset {name}"])


@datasets_command.command("rename", cls=Command)
@click.argument("name", shell_complete=datasets)
@click.argument("new_name")
@json_option
@click.pass_obj
def rename_command(lake: LakePath, name: str, new_name: str, output: Output) -> None:
    """Rename a dataset."""
    from matlake.store.lake import open_lake

    open_lake(lake).rename_dataset(name, new_name)
    output.document({"renamed": name, "dataset": new_name}, [f"renamed dataset {name} to {new_name}"])


@datasets_command.command("export", cls=Command)
@click.argument("name", shell_complete=datasets)
@option(
    "--output",
    "target",
    type=FILE,
    required=True,
    help="Write this file, in the format of its extension: .csv, .tsv, .json, .jsonl, .parquet, .arrow.",
)
@option("--structures", is_flag=True, help="Add the crystals, in a column of POSCAR texts that import reads.")
@json_option
@click.pass_obj
def export_command(lake: LakePath, name: str, target: Path, structures: bool, output: Output) -> None:
    """Write the materials of a dataset to a table."""
    from matlake.cli.sql import file_format
    from matlake.store.lake import open_lake

    file_format(target, None)
    rows = open_lake(lake).export_dataset(name, target, structures=structures)
    output.document(
        {"dataset": name, "output": str(target), "rows": rows}, [f"wrote {rows:,} materials of {name} to {target}"]
    )
