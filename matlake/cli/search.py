"""The command ``search``."""

from pathlib import Path
from typing import Any

import click

from matlake.cli.main import json_option
from matlake.cli.options import ANY_PATH, AT_LEAST_ONE, Command, option, section
from matlake.cli.output import Output

_searched = section("Search for")
_rows = section("Rows")


@click.command("search", cls=Command)
@_searched("--id", "material_id", help="A material of the lake, by its id.")
@_searched("--formula", help="A chemical formula.")
@_searched("--structure", type=ANY_PATH, help="A file of one crystal, such as CIF or POSCAR.")
@option("--encoder", "feature", required=True, metavar="NAME[@LAYER]", help="Compare embeddings of this layer.")
@option("-k", "--neighbours", "k", type=AT_LEAST_ONE, default=10, show_default=True, help="Find this many.")
@_rows("--dataset", help="Find neighbours in this dataset.  [default: all]")
@_rows(
    "--where",
    metavar="SQL",
    help='Find neighbours that this predicate selects, such as "band_gap_eV > 0".  [default: all]',
)
@json_option
@click.pass_obj
def search_command(lake: Path, /, output: Output, **request: Any) -> None:
    """Find the materials whose embeddings are nearest to that of a material, a formula or a structure."""
    from matlake.store.lake import open_lake
    from matlake.store.searching.search import SearchRequest, search

    if sum(request[name] is not None for name in ("material_id", "formula", "structure")) != 1:
        raise click.UsageError("give one of --id, --formula and --structure")
    result = search(open_lake(lake), SearchRequest(**request))
    output.document(result.document(), result.lines())
