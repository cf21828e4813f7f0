"""A report of transfer as Markdown tables, beside the study's numbers."""

from collections.abc import Mapping, Sequence
from typing import Final

from matlake.studies.transfer.comparison import geometric_mean, mean
from matlake.studies.transfer.report import ALL_SC, ALL_TL, PAPER_SC, PAPER_TL, TargetReport, TransferReport
from matlake.studies.transfer.report_text import (
    ABSENT,
    comparison_rows,
    error_of,
    features_of,
    number,
    ratio,
    summary_lines,
)
from matlake.studies.transfer.winners import MORE_SCRATCH, MORE_TRANSFER, Cell
from matlake.text_tables import markdown_table

PaperErrors = Mapping[str, tuple[float, float, float]]
"""For each target the published test MAE of Base, of the best SC and of the best TL."""

_WORDS: Final = ("winner's configuration", "features", "model")

_REPRODUCED: Final = 0.01
"""A Base within this share of the published one is on the same split."""


def markdown(report: TransferReport, paper: PaperErrors | None = None) -> str:
    """Return a report as a page's tables: the winners, the summary, all cells.

    Args:
        report: What was found.
        paper: Published errors to hold it against, of all targets or some.
    """
    published = paper or {}
    parts = [
        _table(
            [_heading(report, published), *(_row(report, target, published) for target in report.targets)],
            left={"property", *_WORDS},
        ),
        _table(comparison_rows(report), left={"compared", "targets", "rows"}),
        "\n".join(f"- {line.strip()}" for line in [*_paper_lines(report, published), *summary_lines(report)]),
        "Test MAE of every configuration's winner by validation:",
        _cells(report),
    ]
    return "\n\n".join(parts) + "\n"


def _heading(report: TransferReport, paper: PaperErrors) -> list[str]:
    beyond = report.goes_beyond
    return [
        *("property", "size", "Base", "best SC", "best TL"),
        *([f"best {ALL_SC}", f"best {ALL_TL}"] if beyond else []),
        *(["paper's best SC", "paper's best TL", "TL: ours/paper"] if paper else []),
        *([f"{ALL_TL}: ours/paper"] if paper and beyond else []),
        *(*_WORDS, "unseen compositions: SC", "winner"),
    ]


def _row(report: TransferReport, target: TargetReport, paper: PaperErrors) -> list[str]:
    beyond, facts = report.goes_beyond, target.facts
    study, all_of = target.pair(PAPER_SC, PAPER_TL), target.pair(ALL_SC, ALL_TL)
    winner = all_of.transfer
    _, paper_sc, paper_tl = paper.get(target.target, (None, None, None))
    name = f"{target.target} ({facts.unit})" if facts.unit else target.target
    cells = [study.scratch, study.transfer, *([all_of.scratch, winner] if beyond else [])]
    return [
        *(name, f"{facts.rows:,}", number(target.base_mae), *_bold_best(cells)),
        *([number(paper_sc), number(paper_tl), ratio(_over(study.transfer, paper_tl))] if paper else []),
        *([ratio(_over(winner, paper_tl))] if paper and beyond else []),
        *([winner.configuration, features_of(winner), winner.model] if winner else [ABSENT] * 3),
        number(all_of.scratch.unseen_mae if all_of.scratch else None),
        number(winner.unseen_mae if winner else None),
    ]


def _bold_best(cells: list[Cell | None]) -> list[str]:
    """Return the test errors, the smallest in bold."""
    errors = [cell.test_mae for cell in cells if cell is not None and cell.test_mae is not None]
    best = min(errors, default=None)
    shown = []
    for cell in cells:
        text = error_of(cell) if cell is not None else ABSENT
        shown.append(f"**{text}**" if cell is not None and best is not None and cell.test_mae == best else text)
    return shown


def _over(cell: Cell | None, published: float | None) -> float | None:
    return cell.test_mae / published if cell is not None and cell.test_mae is not None and published else None


def _paper_lines(report: TransferReport, paper: PaperErrors) -> list[str]:
    known = [(target, paper[target.target]) for target in report.targets if target.target in paper]
    if not known:
        return []
    lines = []
    for among in (PAPER_SC, PAPER_TL, *([ALL_TL] if report.goes_beyond else [])):
        theirs = PAPER_SC if among == PAPER_SC else PAPER_TL
        over = [_over(target.best_of(among), errors[1 if theirs == PAPER_SC else 2]) for target, errors in known]
        ratios = [found for found in over if found is not None]
        if ratios:
            lines.append(
                f"our best {among} over the paper's best {theirs}: mean {ratio(mean(ratios))}, geometric mean "
                f"{ratio(geometric_mean(ratios))}, at most 1 on {sum(r <= 1 for r in ratios)} of {len(ratios)} targets"
            )
    return [*lines, *_base_line(known)]


def _base_line(known: Sequence[tuple[TargetReport, tuple[float, float, float]]]) -> list[str]:
    bases = [(t.target, t.base_mae / errors[0]) for t, errors in known if t.base_mae is not None and errors[0]]
    if not bases:
        return []
    apart = [f"{name} ({ours:.3f} times)" for name, ours in bases if abs(ours - 1.0) > _REPRODUCED]
    line = f"Base within {_REPRODUCED:.0%} of the paper's on {len(bases) - len(apart)} of {len(bases)} targets"
    return [f"{line}; not on {', '.join(apart)}" if apart else line]


def _cells(report: TransferReport) -> str:
    names = list(dict.fromkeys(cell.configuration for target in report.targets for cell in target.cells))
    shown = [name for name in names if report.goes_beyond or not name.startswith((MORE_SCRATCH, MORE_TRANSFER))]
    rows = [[target.target, *(error_of(target.cell(name)) for name in shown)] for target in report.targets]
    return _table([["property", *shown], *rows], left={"property"})


def _table(rows: list[list[str]], left: set[str]) -> str:
    """Return a Markdown table, its heading first; columns of these names are aligned to the left."""
    return markdown_table(rows, {column for column, name in enumerate(rows[0]) if name in left})
