"""The commands ``heads …``: list, show, compare, report on, plot, recalibrate, delete and export trained heads."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from matlake.cli.completion import heads
from matlake.cli.main import json_option
from matlake.cli.options import ANY_PATH, FILE, PLACE, Command, option, seed_option
from matlake.cli.output import Output
from matlake.store.storage.places import LakePath

if TYPE_CHECKING:
    from matlake.store.lake import Lake


@click.group("heads")
def heads_command() -> None:
    """List, show, compare, report on, plot, recalibrate, delete and export trained heads."""


@heads_command.command("list", cls=Command)
@json_option
@click.pass_obj
def list_command(lake: LakePath, output: Output) -> None:
    """List the heads in the lake."""
    from matlake.regress.heads.listing import head_summary, head_table
    from matlake.regress.heads.storage import list_heads
    from matlake.store.lake import open_lake

    cards = list_heads(open_lake(lake))
    output.document(
        {"heads": [head_summary(card) for card in cards]},
        [head_table(cards)] if cards else ["no heads yet: `matlake train` makes one"],
    )


@heads_command.command("show", cls=Command)
@click.argument("name", shell_complete=heads)
@json_option
@click.pass_obj
def show_command(lake: LakePath, name: str, output: Output) -> None:
    """Show the card of a head: what it was trained on, its errors, its intervals, its plots."""
    from matlake.regress.heads.storage import member_names
    from matlake.store.lake import open_lake

    opened = open_lake(lake)
    members = member_names(opened, name)
    documents, lines = zip(*(_shown(opened, member) for member in members), strict=True)
    document = documents[0] if members == [name] else {"name": name, "members": list(documents)}
    output.document(document, [line for shown in lines for line in [*shown, ""]][:-1])


def _shown(lake: "Lake", name: str) -> tuple[dict[str, Any], list[str]]:
    """Return what is known of a head of one target, for scripts and for people."""
    from matlake.regress.heads.card_files import CARD_FILE, read_card
    from matlake.regress.heads.flat_card import flat_document
    from matlake.regress.heads.listing import card_lines
    from matlake.regress.heads.storage import find_head
    from matlake.store.predictions import head_digest, saved_predictions, shown_name

    folder = find_head(lake, name)
    card = read_card(folder / CARD_FILE, name)
    saved = [one for one in saved_predictions(lake) if one.head == shown_name(name)]
    document = {
        **flat_document(card),
        "folder": str(folder),
        "head_digest": head_digest(folder),
        "predictions": [one.document() for one in saved],
        "notes": list(card.notes),
    }
    return document, [*card_lines(card, folder), *(f"  {'predictions':<14}{one.text}" for one in saved)]


@heads_command.command("delete", cls=Command)
@click.argument("name", shell_complete=heads)
@json_option
@click.pass_obj
def delete_command(lake: LakePath, name: str, output: Output) -> None:
    """Delete a head. Embeddings and data stay."""
    from matlake.regress.heads.storage import delete_head
    from matlake.store.lake import open_lake

    delete_head(open_lake(lake), name)
    output.document({"deleted": name}, [f"deleted head {name}"])


@heads_command.command("export", cls=Command)
@click.argument("name", shell_complete=heads)
@option(
    "--output",
    "target",
    type=PLACE,
    required=True,
    help="Write the head to this new folder or address, which may be heads/NAME of another lake.",
)
@json_option
@click.pass_obj
def export_command(lake: LakePath, name: str, target: LakePath, output: Output) -> None:
    """Check a head and copy it to another folder: ONNX file, card, reference set, plots."""
    from matlake.regress.heads.storage import export_head
    from matlake.store.lake import open_lake

    cards = export_head(open_lake(lake), name, target)
    digests = {card.name: card.sha256 for card in cards}
    sha256 = cards[0].sha256 if len(cards) == 1 else digests
    output.document({"head": name, "output": str(target), "sha256": sha256}, [f"exported head {name} to {target}"])


@heads_command.command("compare", cls=Command)
@click.argument("first", metavar="HEAD", shell_complete=heads)
@click.argument("second", metavar="OTHER", shell_complete=heads)
@option(
    "--where",
    metavar="SQL",
    help="Compare on labelled materials that satisfy this condition.  [default: those that both were tested on]",
)
@seed_option
@json_option
@click.pass_obj
def compare_command(lake: LakePath, first: str, second: str, where: str | None, seed: int, output: Output) -> None:
    """Compare two heads of one property on the same rows, with a paired test.

    Rows of compositions that one of them was trained on are left out.
    """
    from matlake.regress.heads.compare import compare_heads
    from matlake.store.lake import open_lake

    found = compare_heads(open_lake(lake), first, second, where, seed)
    output.document(found.document(), found.lines())


@heads_command.command("report", cls=Command)
@click.argument("name", metavar="HEAD", shell_complete=heads)
@option(
    "--output",
    "target",
    type=FILE,
    required=True,
    help="Write this page: .html in one file with its plots, or .md with image files beside it.",
)
@json_option
@click.pass_obj
def report_command(lake: LakePath, name: str, target: Path, output: Output) -> None:
    """Write all that is known of a head as one page, such as for the supplement of a paper."""
    from matlake.regress.heads.report_files import write_report
    from matlake.store.lake import open_lake

    written = write_report(open_lake(lake), name, target)
    output.document({"head": name, "files": [str(path) for path in written]}, [f"wrote {path}" for path in written])


@heads_command.command("plot", cls=Command)
@click.argument("name", metavar="HEAD")
@option(
    "--output",
    "target",
    type=ANY_PATH,
    required=True,
    help="Write to this file: .svg or .pdf with editable text, or .png at 300 dpi; or to this folder, in all three "
    "formats.",
)
@option(
    "--kind",
    metavar="KIND",
    help="parity (of a yes/no property reliability), error_by_distance, coverage or learning_curve.  "
    "[default: the first in a file, all in a folder]",
)
@json_option
@click.pass_obj
def plot_command(lake: LakePath, name: str, target: Path, kind: str | None, output: Output) -> None:
    """Draw plots of a head from its test rows, at the width of a journal column."""
    from matlake.regress.heads.plots import write_plots
    from matlake.store.lake import open_lake

    written = write_plots(open_lake(lake), name, target, kind)
    output.document({"head": name, "files": [str(path) for path in written]}, [f"wrote {path}" for path in written])


@heads_command.command("calibrate", cls=Command)
@click.argument("name", metavar="HEAD", shell_complete=heads)
@option(
    "--where",
    required=True,
    metavar="SQL",
    former=["--rows"],
    help="Calibrate on the labelled materials that satisfy this condition, such as \"dataset = 'mine'\".",
)
@seed_option
@json_option
@click.pass_obj
def calibrate_command(lake: LakePath, name: str, where: str, seed: int, output: Output) -> None:
    """Fit the intervals and expected errors of a head to 20 or more labels of a new domain.

    The regressor stays. Rows of compositions that it was trained on are left out. See docs/guides/managing-heads.md.
    """
    from matlake.regress.heads.recalibrate_head import recalibrate_head
    from matlake.store.lake import open_lake

    done = recalibrate_head(open_lake(lake), name, where, seed)
    output.document(done.document(), done.lines())
