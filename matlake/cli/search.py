"""The commands ``search``, ``dedupe`` and ``diverse``."""

from collections.abc import Callable
from typing import Any

import click

from matlake.cli.main import EXIT_SOME_ROWS_FAILED, json_option
from matlake.cli.options import (
    ANY_PATH,
    AT_LEAST_ONE,
    Command,
    Function,
    names,
    option,
    row_options,
    section,
)
from matlake.cli.output import Output, progress
from matlake.store.storage.places import LakePath

_searched = section("Search for")
_rows = section("Rows")
_shown = section("Neighbours")
_DISTANCE = click.FloatRange(min=0.0)


def _encoder_option(function: Function) -> Function:
    layer: Callable[[Function], Function] = option(
        "--encoder",
        "feature",
        required=True,
        metavar="NAME[@LAYER]",
        help="Compare embeddings of this encoder or layer. NAME@1+2 and NAME@all compare several layers of equal "
        "weight.",
    )
    return layer(function)


@click.command("search", cls=Command)
@_searched("--id", "material_id", multiple=True, help="A material in the lake, by its id. Repeatable.")
@_searched("--formula", multiple=True, help="A chemical formula. Repeatable.")
@_searched("--structure", type=ANY_PATH, multiple=True, help="A file of one crystal (CIF, POSCAR, …). Repeatable.")
@_searched(
    "--input",
    "table",
    type=ANY_PATH,
    help="A table (CSV, Parquet) of formulas or structures, or a file or folder of structures.",
)
@_encoder_option
@_shown("-k", "--neighbours", "k", type=AT_LEAST_ONE, default=10, help="Return this many neighbours.")
@_shown(
    "--columns",
    type=names,
    default=(),
    metavar="NAME,…",
    help="Return these property columns of the neighbours; all returns every one.  [default: none]",
)
@_shown(
    "--distinct",
    type=click.Choice(["formula", "structure"]),
    help="Of neighbours with the same composition, or the same crystal, return only the nearest.",
)
@_shown(
    "--approximate",
    is_flag=True,
    help="Use an index that misses up to one neighbour in a hundred: for thousands of queries among more than 100,000 "
    "vectors.",
)
@_rows("--dataset", help="Search only this dataset.  [default: all]")
@_rows(
    "--where",
    metavar="SQL",
    help='Search only materials that satisfy this condition, such as "band_gap_eV > 0".  [default: all]',
)
@json_option
@click.pass_obj
def search_command(lake: LakePath, /, output: Output, **request: Any) -> int:
    """Find the nearest neighbours of materials, formulas or structures in embedding space."""
    from matlake.store.lake import open_lake
    from matlake.store.searching.search import SearchRequest, search

    if sum(bool(request[name]) for name in ("material_id", "formula", "structure", "table")) != 1:
        raise click.UsageError("give one of --id, --formula, --structure and --input")
    for name in ("material_id", "formula", "structure"):
        given = request[name]
        request[name] = (given[0] if len(given) == 1 else list(given)) if given else None
    result = search(open_lake(lake), SearchRequest(**request | {"columns": request["columns"] or ()}))
    output.document(result.document(), result.lines())
    return EXIT_SOME_ROWS_FAILED if result.failed else 0


@click.command("dedupe", cls=Command)
@_encoder_option
@option(
    "--distance",
    type=_DISTANCE,
    help="Largest distance of two near-duplicates.  [default: a ten-thousandth of the root mean square distance of two "
    "materials]",
)
@row_options
@json_option
@click.pass_obj
def dedupe_command(lake: LakePath, /, output: Output, **request: Any) -> None:
    """Find near-duplicates: groups of materials whose embeddings are within a distance of the first of each group."""
    from matlake.store.lake import open_lake
    from matlake.store.searching.dedupe import DedupeRequest, dedupe

    with progress("comparing", "vectors") as reporter:
        report = dedupe(open_lake(lake), DedupeRequest(**request), reporter)
    output.document(report.document(), report.lines())


@click.command("diverse", cls=Command)
@_encoder_option
@option("--n", type=AT_LEAST_ONE, default=20, help="Select this many materials.")
@row_options
@json_option
@click.pass_obj
def diverse_command(lake: LakePath, /, output: Output, **request: Any) -> None:
    """Select materials whose embeddings are far from each other (farthest-point sampling)."""
    from matlake.store.lake import open_lake
    from matlake.store.searching.diverse import DiverseRequest, diverse

    with progress("selecting", "materials") as reporter:
        report = diverse(open_lake(lake), DiverseRequest(**request), reporter)
    output.document(report.document(), report.lines())
