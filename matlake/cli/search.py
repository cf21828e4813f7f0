"""The command ``search``."""

from pathlib import Path

import click

from matlake.cli.main import json_option
from matlake.cli.output import Output


@click.command("search")
@click.option("--id", "material_id", help="Id of a material of the lake.")
@click.option("--formula", help="A chemical formula.")
@click.option(
    "--structure", type=click.Path(path_type=Path), help="A CIF or POSCAR file, or another file of one crystal."
)
@click.option("--encoder", "feature", required=True, help="NAME[@LAYER], embedded before.")
@click.option(
    "-k", "--neighbours", "k", type=click.IntRange(min=1), default=10, show_default=True, help="Number wanted."
)
@click.option("--dataset", help="Only neighbours of this dataset.")
@click.option("--where", help='Only neighbours that this SQL predicate selects, such as "band_gap_eV > 0".')
@json_option
@click.pass_obj
def search_command(
    lake: Path,
    material_id: str | None,
    formula: str | None,
    structure: Path | None,
    feature: str,
    k: int,
    dataset: str | None,
    where: str | None,
    output: Output,
) -> None:
    """Find the materials whose embeddings are nearest to that of a material, a formula or a structure."""
    from matlake.store.lake import open_lake
    from matlake.store.searching.search import SearchRequest, search

    if sum(given is not None for given in (material_id, formula, structure)) != 1:
        raise click.UsageError("give one of --id, --formula and --structure")
    result = search(open_lake(lake), SearchRequest(feature, k, material_id, formula, structure, dataset, where))
    output.document(result.document(), result.lines())
