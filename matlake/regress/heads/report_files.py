"""Reports of heads as files: HTML in one file, or Markdown with images beside it."""

import re
from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final

from matlake.errors import HeadError
from matlake.files import write_whole
from matlake.regress.heads.card_files import CARD_FILE, read_card
from matlake.regress.heads.report import Code, Part, Plot, Report, head_report
from matlake.regress.heads.storage import PLOTS, find_head
from matlake.store.lake import Lake
from matlake.text_tables import TextTable, markdown_table

_LARGEST_SVG: Final = 400_000
"""Bytes up to which a plot goes into the page as lines and letters; a larger one as an image of points."""

_LONGEST_WORD: Final = 24
_STYLE: Final = """\
body { font: 11pt/1.45 system-ui, sans-serif; color: #1a1a1a; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.1rem; margin-top: 1.8rem; }
table { border-collapse: collapse; font-size: .85rem; margin: .6rem 0; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #ccc; text-align: left; vertical-align: top; }
th { border-bottom: 2px solid #555; } .right { text-align: right; white-space: nowrap; }
.long { overflow-wrap: anywhere; min-width: 9rem; }
pre { background: #f4f4f4; padding: .6rem; font-size: .8rem; white-space: pre-wrap; overflow-wrap: anywhere; }
figure { display: inline-block; margin: .5rem 1rem .5rem 0; vertical-align: top; break-inside: avoid; }
figure img { width: 23rem; max-width: 100%; } figcaption { font-size: .8rem; color: #555; max-width: 23rem; }
@media print { body { margin: 0; max-width: none; font-size: 9.5pt; } h2 { break-after: avoid; } }
"""
_PAGE: Final = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<h1>{title}</h1>
{sections}
</body>
</html>
"""
_MARKS: Final = re.compile(r"([\\`*_\[\]<>|])")
"""What Markdown would take for its own."""


def write_report(lake: Lake, name: str, target: Path) -> list[Path]:
    """Write all that is known of a head as one page, and return the paths of the files.

    Args:
        lake: The lake.
        name: Name of the head.
        target: ``.html`` for one file that holds its plots, ``.md`` for Markdown with the plots as PNG files beside it.

    Raises:
        HeadError: No such head, a damaged card, another ending, or the file cannot be written.
    """
    folder = find_head(lake, name)
    card = read_card(folder / CARD_FILE, name)
    plots = {path.stem: path for path in sorted((folder / PLOTS).glob("*.png"))}
    report = head_report(lake, card, list(plots))
    try:
        if target.suffix.lower() in (".html", ".htm"):
            files = {target: _html(report, plots).encode()}
        elif target.suffix.lower() in (".md", ".markdown"):
            images = {stem: target.with_name(f"{target.stem}-{stem}.png") for stem in plots}
            files = {images[stem]: path.read_bytes() for stem, path in plots.items()}
            files[target] = _markdown(report, {stem: path.name for stem, path in images.items()}).encode()
        else:
            raise HeadError(f"a report is written as .html or .md, not as {target.name}", "name such a file")
        for path, content in files.items():
            write_whole(path, content)
    except OSError as error:
        raise HeadError(f"cannot write {target}: {error.strerror}", "check the path and the disk") from error
    return list(files)


def _html(report: Report, plots: dict[str, Path]) -> str:
    sections = [
        f"<section>\n<h2>{escape(section.heading)}</h2>\n"
        + "\n".join(_html_part(part, plots) for part in section.parts)
        + "\n</section>"
        for section in report.sections
    ]
    return _PAGE.format(title=escape(report.title), style=_STYLE, sections="\n".join(sections))


def _html_part(part: Part, plots: dict[str, Path]) -> str:
    match part:
        case Code(text=text):
            return f"<pre>{escape(text)}</pre>"
        case Plot(name=name, caption=caption):
            alternative, shown = escape(caption, quote=True), escape(caption)
            image = f'<img src="{_data_address(plots[name])}" alt="{alternative}">'
            return f"<figure>{image}<figcaption>{shown}</figcaption></figure>"
        case TextTable():
            return _html_table(part)
    return f"<p>{escape(part)}</p>"


def _html_table(table: TextTable) -> str:
    headings, *rows = table.cells()
    lines = [_html_row("th", headings, table), *(_html_row("td", row, table) for row in rows)]
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def _html_row(tag: str, cells: Sequence[str], table: TextTable) -> str:
    """Return a row; names too long for a column may be broken anywhere, others between words only."""
    parts = []
    for cell, column in zip(cells, table.columns, strict=True):
        long = max(map(len, cell.split()), default=0) > _LONGEST_WORD
        kind = "long" if long else "right" if column.align == "right" else ""
        mark = f' class="{kind}"' if kind else ""
        parts.append(f"<{tag}{mark}>{escape(cell)}</{tag}>")
    return f"<tr>{''.join(parts)}</tr>"


def shown_file(png: Path) -> Path:
    """Return the file that a page shows of a plot: the SVG beside the PNG where there is one that is not too large."""
    svg = png.with_suffix(".svg")
    return svg if svg.exists() and svg.stat().st_size <= _LARGEST_SVG else png


def _data_address(png: Path) -> str:
    """Return a plot as a ``data:`` address."""
    shown = shown_file(png)
    kind = "svg+xml" if shown.suffix == ".svg" else "png"
    return f"data:image/{kind};base64,{b64encode(shown.read_bytes()).decode()}"


def _markdown(report: Report, images: dict[str, str]) -> str:
    parts = [f"# {_plain(report.title)}"]
    for section in report.sections:
        parts.append(f"## {_plain(section.heading)}")
        parts += [_markdown_part(part, images) for part in section.parts]
    return "\n\n".join(parts) + "\n"


def _markdown_part(part: Part, images: dict[str, str]) -> str:
    match part:
        case Code(text=text):
            fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
            return f"{fence}\n{text}\n{fence}"
        case Plot(name=name, caption=caption):
            return f"![{_plain(caption)}](<{images[name]}>)"
        case TextTable():
            left = {place for place, column in enumerate(part.columns) if column.align == "left"}
            return markdown_table([[_plain(cell) for cell in row] for row in part.cells()], left)
    return _plain(part)


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is."""
    return _MARKS.sub(r"\\\1", text)
