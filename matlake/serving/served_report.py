"""The report of a head as a JSON document, and its plots."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request
from starlette.responses import Response

from matlake.errors import HeadError
from matlake.regress.heads.card import HeadCard
from matlake.regress.heads.card_files import CARD_FILE, read_card
from matlake.regress.heads.storage import PLOTS, find_head
from matlake.serving.assets import Asset
from matlake.serving.row_json import dumps
from matlake.store.lake import Lake
from matlake.text_tables import TextTable

if TYPE_CHECKING:
    from matlake.regress.heads.report import Part

_TYPES: Final = {".svg": "image/svg+xml", ".png": "image/png"}
_ALONE: Final = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""A plot may come from a stranger's head: opened by itself, it runs nothing and loads nothing."""


class ServedReport:
    """All that is known of a head.

    Args:
        lake: Its lake, whose registry knows licences of encoders.
        card: Of the head as it is served.
    """

    def __init__(self, lake: Lake, card: HeadCard) -> None:
        """Read the plots, unless the head was replaced since it is served."""
        self._plots = _read_plots(lake, card)
        self.document = Asset.of(dumps(_document(lake, card, self._plots)).encode(), "application/json")

    def plot(self, name: str) -> Asset | None:
        """Return a plot; None where there is none of that name."""
        return self._plots.get(name)


def answer_plot(plot: Asset, request: Request) -> Response:
    """Answer with a plot."""
    response = plot.answer(request)
    response.headers["Content-Security-Policy"] = _ALONE
    return response


def _read_plots(lake: Lake, card: HeadCard) -> dict[str, Asset]:
    from matlake.regress.heads.report_files import shown_file  # the report knows all regressors: a start needs none

    try:
        folder = find_head(lake, card.name)
        if read_card(folder / CARD_FILE).sha256 != card.sha256:
            return {}
        files = {path.stem: shown_file(path) for path in sorted((folder / PLOTS).glob("*.png"))}
        return {name: Asset.of(path.read_bytes(), _TYPES[path.suffix]) for name, path in files.items()}
    except (HeadError, OSError):  # deleted meanwhile: the card is in memory
        return {}


def _document(lake: Lake, card: HeadCard, plots: Mapping[str, Asset]) -> dict[str, Any]:
    from matlake.regress.heads.report import head_report

    report = head_report(lake, card, list(plots))
    sections = [
        {"heading": section.heading, "parts": [_part(part) for part in section.parts]} for section in report.sections
    ]
    return {"head": card.name, "title": report.title, "sections": sections, "coverage": _coverage(card)}


def _part(part: "Part") -> dict[str, Any]:
    from matlake.regress.heads.report import Code, Plot

    match part:
        case Code(text=text):
            return {"kind": "code", "text": text}
        case Plot(name=name, caption=caption):
            return {"kind": "plot", "name": name, "caption": caption}
        case TextTable():
            headings, *rows = part.cells()
            columns = [
                {"heading": heading, "align": column.align}
                for heading, column in zip(headings, part.columns, strict=True)
            ]
            return {"kind": "table", "columns": columns, "rows": rows}
    return {"kind": "text", "text": part}


def _coverage(card: HeadCard) -> dict[str, Any] | None:
    """Return which share of values intervals hold, where; None for a head without intervals."""
    found = card.calibration
    if found is None:
        return None
    shares = [{"of": "test rows", "share": found.coverage, "rows": card.evaluation.n_test}]
    if found.far_coverage is not None:
        shares.append({"of": "clusters of compositions left out", "share": found.far_coverage, "rows": None})
    shares += [{"of": one.group, "share": one.coverage, "rows": one.rows} for one in found.worst_groups]
    return {"level": found.interval.level, "shares": shares}
