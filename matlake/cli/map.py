"""The command ``map``."""

from pathlib import Path
from typing import Any

import click

from matlake.cli.main import json_option
from matlake.cli.options import AT_LEAST_ONE, FILE, Command, section, seed_option
from matlake.cli.output import Output, progress
from matlake.store.storage.places import LakePath

_shown = section("Map")
_rows = section("Rows")
_written = section("Output")


@click.command("map", cls=Command)
@click.argument("datasets", nargs=-1, required=True, metavar="DATASET [OTHERS]…")
@_shown(
    "--encoder",
    "feature",
    required=True,
    metavar="NAME[@LAYER]",
    help="Map embeddings of this encoder or layer. NAME@1+2 and NAME@all map several layers of equal weight.",
)
@_shown("--color", metavar="PROPERTY", help="Colour the points by this property.  [default: one colour]")
@_shown(
    "--projection",
    type=click.Choice(["pca", "umap"]),
    default="pca",
    help="Lay out by principal components, or by UMAP, which keeps neighbours together.",
)
@_shown("--title", help="Title of the page.  [default: of the dataset and the property]")
@_rows(
    "--where",
    metavar="SQL",
    help='Map only materials that satisfy this condition, such as "band_gap_eV > 0".  [default: all]',
)
@_rows("--max-points", type=AT_LEAST_ONE, default=100_000, help="Draw at most this many materials, chosen at random.")
@_written(
    "--output",
    "file",
    type=FILE,
    metavar="FILE",
    help="Write this file.  [default: map.html, map.json.gz or map.parquet]",
)
@_written(
    "--export",
    type=click.Choice(["chemiscope", "embedding-atlas", "parquet"]),
    help="Write the format of another program instead of a page.",
)
@_written(
    "--structures",
    type=click.IntRange(min=0),
    default=10_000,
    help="Put at most this many crystals into the file, chosen at random.",
)
@seed_option
@json_option
@click.pass_obj
def map_command(lake: LakePath, /, file: Path | None, output: Output, **request: Any) -> None:
    """Draw a map of DATASET as a page that works offline, with colours, crystals, search and selection.

    Materials with similar embeddings are near each other. Materials of OTHERS are projected on the map of DATASET.
    """
    from matlake.maps.make import make_map
    from matlake.maps.request import MapRequest
    from matlake.store.lake import open_lake

    with progress("drawing", "crystals") as reporter:
        report = make_map(open_lake(lake), MapRequest(output=file, **request), reporter)
    output.document(report.document(), report.lines())
