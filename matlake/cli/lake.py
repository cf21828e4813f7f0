"""Commands on the lake: import, embed, sql, status."""

import os
from pathlib import Path

import click

from matlake.cli.main import EXIT_SOME_ROWS_FAILED, json_option
from matlake.cli.output import Output, note, progress


@click.command("import")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--dataset", required=True, help="Name of the dataset; one of that name is replaced.")
@click.option("--formula-column", help="Column of chemical formulas; 'formula' and other usual names are found.")
@click.option("--structure-column", help="Column of structures; 'structure', 'cif', 'poscar' … are found.")
@click.option("--id-column", help="Column of unique ids; without one, ids are DATASET-ROW or the names of files.")
@click.option("--max-atoms", type=click.IntRange(min=1), help="Larger cells are failures.  [default: 10000]")
@json_option
@click.pass_obj
def import_command(
    lake: Path,
    source: Path,
    dataset: str,
    formula_column: str | None,
    structure_column: str | None,
    id_column: str | None,
    max_atoms: int | None,
    output: Output,
) -> int:
    """Import formulas or crystal structures, with their properties.

    SOURCE is a table (CSV, Parquet) with a column of formulas, CIF, POSCAR or pymatgen JSON; a CIF or POSCAR file, or a
    folder or archive (zip, tar) of them; pymatgen's JSON or JSON lines; extended XYZ; or an ASE database.
    """
    from matlake.materials.crystal import MAX_ATOMS
    from matlake.store.importing.importer import import_table
    from matlake.store.lake import open_lake

    with progress("importing", "rows") as reporter:
        report = import_table(
            open_lake(lake, create=True),
            source,
            dataset,
            formula_column=formula_column,
            structure_column=structure_column,
            id_column=id_column,
            max_atoms=max_atoms or MAX_ATOMS,
            progress=reporter,
        )
    for remark in report.notes:
        note(f"note: {remark}")
    done = "replaced" if report.replaced else "imported"
    lines = [f"{done} dataset {dataset}: {report.rows:,} materials in {report.seconds:.1f} s"]
    if report.failed:
        lines.append(f'{report.failed:,} rows are no materials (see `matlake sql "SELECT * FROM failures"`), such as')
        lines += [f"  row {row}: {reason}" for row, reason in report.examples]
    output.document(
        {
            "dataset": report.dataset,
            "rows": report.rows,
            "failed": report.failed,
            "replaced": report.replaced,
            "seconds": report.seconds,
            "notes": report.notes,
        },
        lines,
    )
    return EXIT_SOME_ROWS_FAILED if report.failed else 0


@click.command("embed")
@click.option("--encoder", "features", required=True, help="NAME[@LAYER][,NAME[@LAYER]…]; see `matlake encoders list`.")
@click.option("--dataset", help="Only this dataset.")
@click.option("--where", help='Only materials that this SQL predicate selects, such as "band_gap_eV > 0".')
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True)
@click.option("--workers", type=click.IntRange(min=1), help="Threads that encode; by default one a core.")
@json_option
@click.pass_obj
def embed_command(
    lake: Path,
    features: str,
    dataset: str | None,
    where: str | None,
    device: str,
    workers: int | None,
    output: Output,
) -> int:
    """Embed what is new or changed; can be killed and run again at any time."""
    from matlake.store.embedding.embedder import embed
    from matlake.store.lake import open_lake

    if dataset and where:
        raise click.UsageError("--dataset and --where exclude each other: put dataset = '…' into the predicate")
    with progress("embedding", "rows") as reporter:
        report = embed(
            open_lake(lake),
            features.split(","),
            dataset=dataset,
            where=where,
            device=device,
            workers=workers or os.cpu_count() or 1,
            progress=reporter,
        )
    rate = report.embedded / report.seconds if report.seconds else 0.0
    lines = [
        f"embedded {report.embedded:,} contents in {report.seconds:.1f} s ({rate:,.0f}/s)",
        f"{report.skipped:,} rows had a vector already or share one",
    ]
    if report.failed:
        lines.append(f'{report.failed:,} rows failed (see `matlake sql "SELECT * FROM failures"`)')
    output.document(
        {
            "embedded": report.embedded,
            "skipped": report.skipped,
            "failed": report.failed,
            "seconds": report.seconds,
        },
        lines,
    )
    return EXIT_SOME_ROWS_FAILED if report.failed else 0


@click.command("sql")
@click.argument("statement")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json", "parquet"]),
    default="table",
    show_default=True,
    help="How the result is written; parquet needs --output.",
)
@click.option("--output", "target", type=click.Path(path_type=Path, dir_okay=False), help="Write the result here.")
@click.pass_obj
def sql_command(lake: Path, statement: str, form: str, target: Path | None) -> None:
    """Run a read-only SQL query on the lake (views: materials, embeddings, failures, one a dataset, embed.…)."""
    from matlake.store.lake import open_lake
    from matlake.store.sql_output import render

    if form == "parquet" and target is None:
        raise click.UsageError("--format parquet needs --output FILE")
    content = render(open_lake(lake).query(statement), form)
    if target is None:
        click.echo(content.decode().rstrip("\n"))
    else:
        from matlake.files import write_whole

        write_whole(target, content)
        note(f"wrote {target}")


@click.command("status")
@json_option
@click.pass_obj
def status_command(lake: Path, output: Output) -> None:
    """Show what is in the lake."""
    from matlake.store.lake import open_lake
    from matlake.store.status import status

    report = status(open_lake(lake))
    output.document(report.document(), report.lines())
