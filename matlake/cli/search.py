"""The command ``search``."""

from typing import Any

import click

from matlake.cli.main import json_option
from matlake.cli.options import ANY_PATH, AT_LEAST_ONE, Command, option, section
from matlake.cli.output import Output
from matlake.store.storage.places import LakePath

_searched = section("Search for")
_rows = section("Rows")


@click.command("search", cls=Command)
@_searched("--id", "material_id", help="A material in the lake, by its id.")
@_searched("--formula", help="A chemical formula.")
@_searched("--structure", type=ANY_PATH, help="A file of one crystal (CIF, POSCAR, …).")
@option(
    "--encoder",
    "feature",
    required=True,
    metavar="NAME[@LAYER]",
    help="Compare embeddings of this encoder or layer. NAME@1+2 and NAME@all compare several layers of equal weight.",
)
@option("-k", "--neighbours", "k", type=AT_LEAST_ONE, default=10, help="Return this many neighbours.")
@_rows("--dataset", help="Search only this dataset.  [default: all]")
@_rows(
    "--where",
    metavar="SQL",
    help='Search only materials that satisfy this condition, such as "band_gap_eV > 0".  [default: all]',
)
@json_option
@click.pass_obj
def search_command(lake: LakePath, /, output: Output, **request: Any) -> None:
    """Find the nearest neighbours of a material, formula or structure in embedding space."""
    from matlake.store.lake import open_lake
    from matlake.store.searching.search import SearchRequest, search

    if sum(request[name] is not None for name in ("material_id", "formula", "structure")) != 1:
        raise click.UsageError("give one of --id, --formula and --structure")
    result = search(open_lake(lake), SearchRequest(**request))
    output.document(result.document(), result.lines())
