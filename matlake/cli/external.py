"""The command ``import-embeddings``."""

from pathlib import Path

import click

from matlake.cli.main import json_option
from matlake.cli.options import FILE, Command, option, section
from matlake.cli.output import Output, progress
from matlake.store.storage.places import LakePath

_column = section("Columns")
_card = section("Card")


@click.command("import-embeddings", cls=Command)
@click.argument("file", type=FILE)
@option("--encoder", required=True, help="Name the encoder that made the vectors; a new name makes a new encoder.")
@option("--dataset", required=True, help="Name the dataset that the ids belong to.")
@option("--layer", help="Name the layer of the encoder.  [default: vector, or the first one that the encoder has]")
@_column("--id-column", help="Read ids from this column.  [default: material_id or id]")
@_column(
    "--vector-column",
    help="Read vectors from this column, or one number each from the columns 'PREFIX*'.  [default: the column called "
    "like the encoder, or vector, or the only one of vectors]",
)
@_card("--licence", help="State the licence of the network that made the vectors.")
@_card("--citation", multiple=True, help="Cite a paper or data set. Repeatable.")
@_card("--source", help="Describe the network and program that made the vectors.")
@json_option
@click.pass_obj
def import_embeddings_command(
    lake: LakePath,
    /,
    file: Path,
    encoder: str,
    dataset: str,
    layer: str | None,
    id_column: str | None,
    vector_column: str | None,
    licence: str | None,
    citation: tuple[str, ...],
    source: str | None,
    output: Output,
) -> None:
    """Import vectors that another program made, to query, search and train on them.

    FILE is a table of ids and vectors: Parquet, Feather, npz (arrays ids and vectors), JSON lines, or CSV with a column
    for each number. All vectors are imported, or none: an id that the dataset lacks or that comes twice, a number that
    is not finite, or another length is refused.
    """
    from matlake.store.external.card import About
    from matlake.store.external.importing import import_embeddings
    from matlake.store.lake import open_lake

    with progress("importing vectors", "rows") as reporter:
        report = import_embeddings(
            open_lake(lake),
            file,
            encoder=encoder,
            dataset=dataset,
            id_column=id_column,
            vector_column=vector_column,
            layer=layer,
            about=About(licence or "", citation, source or ""),
            progress=reporter,
        )
    output.document(report.document(), report.lines())
