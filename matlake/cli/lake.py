"""Commands on the lake: import, embed, status."""

from pathlib import Path
from typing import Any

import click

from matlake.cli.main import EXIT_SOME_ROWS_FAILED, json_option
from matlake.cli.options import (
    AT_LEAST_ONE,
    Command,
    column_options,
    device_option,
    engine_options,
    job_shard,
    names,
    option,
    row_options,
    section,
)
from matlake.cli.output import Output, note, progress
from matlake.store.storage.places import LakePath

_column = section("Columns")


@click.command("import", cls=Command)
@click.argument("source")
@option(
    "--dataset",
    help="Name the dataset. One that came from the same source by name is updated, any other replaced.",
)
@option("--join", metavar="DATASET", help="Join the properties in SOURCE to the materials of this dataset, by id.")
@column_options("Columns")
@_column(
    "--id-column",
    help="Read unique ids from this column.  [default: material_id or id, else DATASET-ROW or file names]",
)
@option("--max-atoms", type=AT_LEAST_ONE, help="Reject cells with more atoms than this.  [default: 10000]")
@json_option
@click.pass_obj
def import_command(
    lake: LakePath,
    /,
    source: str,
    dataset: str | None,
    join: str | None,
    max_atoms: int | None,
    output: Output,
    **columns: Any,
) -> int:
    """Import formulas or crystal structures with their properties, or join properties to a dataset.

    SOURCE is a table (CSV, Parquet, Feather, Excel, SQLite, Delta) with a column of formulas or structures; a CIF or
    POSCAR file, or a folder or archive (zip, tar) of them; JSON of pymatgen, JARVIS, OPTIMADE, the Materials Project,
    Alexandria or OQMD; extended XYZ; or an ASE database. FILE::NAME is a sheet, or a table of a database. It is also a
    source by name, which is downloaded: 'optimade:mp?filter=elements HAS "O" AND nelements=2', 'mp:?elements=Ga,N' (the
    Materials Project), jarvis:dft_3d, matbench:phonons, alexandria:pbe, lemat:pbe; NAME: alone lists its data sets.
    After an interruption, run it again to go on, and later to bring what is new or changed.
    """
    from matlake.materials.crystal import MAX_ATOMS
    from matlake.store.importing.joining import join_table
    from matlake.store.lake import open_lake
    from matlake.store.sources.importing import import_from

    if (dataset is None) == (join is None):
        raise click.UsageError("name a dataset with --dataset, or with --join the one that gets the properties")
    if join is not None and (max_atoms or columns["formula_column"] or columns["structure_column"]):
        raise click.UsageError("--join adds properties alone: of the columns, only --id-column goes with it")
    report: Any
    with progress("importing", "rows") as reporter:
        made = open_lake(lake, create=join is None)
        if dataset is None:
            identifier = columns["id_column"]
            report = join_table(made, Path(source), str(join), id_column=identifier, progress=reporter)
        else:
            atoms = max_atoms or MAX_ATOMS
            report = import_from(made, source, dataset, **columns, max_atoms=atoms, progress=reporter)
    for remark in report.notes:
        note(f"note: {remark}")
    output.document(report.document(), report.lines())
    return EXIT_SOME_ROWS_FAILED if report.failed else 0


@click.command("embed", cls=Command)
@option(
    "--encoder",
    "features",
    required=True,
    type=names,
    metavar="NAME[@LAYER][,…]",
    help="Embed with these encoders or layers (NAME@1+2: several; NAME@all: all hidden ones); `matlake encoders list` "
    "shows them.",
)
@row_options
@device_option
@option("--workers", type=AT_LEAST_ONE, help="Encode with this many threads, or Ray actors.  [default: all cores]")
@option(
    "--precision",
    type=click.Choice(["as-named", "auto"]),
    default="as-named",
    help="auto: embed with NAME-int8 where this processor is faster with it and its card shows no loss. Name that "
    "encoder from then on.",
)
@engine_options("Options")
@option(
    "--shard",
    type=job_shard,
    metavar="I/N",
    help="Embed the part of job I of N, counted from 0: 0/8 to 7/8. In an array of Slurm (--array=0-7): "
    "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT.",
)
@json_option
@click.pass_obj
def embed_command(lake: LakePath, /, features: tuple[str, ...], output: Output, **settings: Any) -> int:
    """Embed new and changed materials. After an interruption, run it again to resume."""
    from matlake.store.embedding.embedder import embed
    from matlake.store.lake import open_lake

    with progress("embedding", "rows") as reporter:
        report = embed(open_lake(lake), list(features), **settings, progress=reporter)
    output.document(report.document(), report.lines())
    return EXIT_SOME_ROWS_FAILED if report.failed else 0


@click.command("status", cls=Command)
@json_option
@click.pass_obj
def status_command(lake: LakePath, output: Output) -> None:
    """Show what is in the lake."""
    from matlake.store.lake import open_lake
    from matlake.store.status import status

    report = status(open_lake(lake))
    output.document(report.document(), report.lines())
