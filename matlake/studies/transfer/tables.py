"""A transfer study as tables and notes: for a terminal, and for a page beside the published numbers."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from matlake.studies.measurement import State
from matlake.studies.report import ABSENT, Notes, Table, as_markdown, as_text, formatted, number
from matlake.studies.statistics import geometric_mean, mean
from matlake.studies.transfer.cells import Cell
from matlake.studies.transfer.configurations import goes_beyond
from matlake.studies.transfer.report import ALL_SC, ALL_TL, PAPER_SC, PAPER_TL, Tally, TransferReport

PaperErrors = Mapping[str, tuple[float, float, float]]
"""For each target the published test MAE of Base, of the best SC and of the best TL."""

_DIGITS: Final = 4
_RATIO: Final = ".3f"
_WIDEST_FEATURES: Final = 60
_HOUR: Final = 3600
_REPRODUCED: Final = 0.01
"""A Base within this share of the published one is on the same split."""


def report_lines(report: TransferReport) -> list[str]:
    """Return a report as a table, a line a target, and what it comes to over all targets."""
    return as_text([_overview(report)], [_comparisons(report)], [Notes(_summary(report))])


def markdown(report: TransferReport, paper: PaperErrors | None = None) -> str:
    """Return a report as a page's tables: the winners, the summary, all cells.

    Args:
        report: What was found.
        paper: Published errors to hold it against, of all targets or some.
    """
    published = paper or {}
    notes = Notes([*_paper_lines(report, published), *_summary(report)])
    of_cells = "Test MAE of every configuration's winner by validation:"
    return as_markdown([_winners(report, published), _comparisons(report), notes, of_cells, _cells(report)])


def _overview(report: TransferReport) -> Table:
    beyond = report.goes_beyond
    best_sc, best_tl = (f"best {ALL_SC}", f"best {ALL_TL}") if beyond else ("best SC", "best TL")
    rows = []
    for target in report.targets:
        pair = target.pair(ALL_SC, ALL_TL)
        row = [target.target, target.facts.unit or ABSENT, f"{target.facts.rows:,}", number(target.base_mae, _DIGITS)]
        row += [_error(pair.scratch), f"({pair.scratch.configuration})" if pair.scratch else ""]
        row += [_error(pair.transfer), f"({', '.join(_made_of(pair.transfer))})" if pair.transfer else ""]
        row.append(formatted(pair.ratio(), _RATIO))
        rows.append(row + ([formatted(target.pair(PAPER_SC, PAPER_TL).ratio(), _RATIO)] if beyond else []))
    heading = ["property", "unit", "rows", "Base", best_sc, "", best_tl, "", "ratio", *(["TL/SC"] if beyond else [])]
    return Table(heading, rows, {"property", "unit", ""})


def _winners(report: TransferReport, paper: PaperErrors) -> Table:
    beyond = report.goes_beyond
    words = ("winner's configuration", "features", "model")
    heading = [
        *("property", "size", "Base", "best SC", "best TL"),
        *([f"best {ALL_SC}", f"best {ALL_TL}"] if beyond else []),
        *(["paper's best SC", "paper's best TL", "TL: ours/paper"] if paper else []),
        *([f"{ALL_TL}: ours/paper"] if paper and beyond else []),
        *(*words, "new compositions: SC", "winner"),
    ]
    rows = []
    for target in report.targets:
        facts, study, every = target.facts, target.pair(PAPER_SC, PAPER_TL), target.pair(ALL_SC, ALL_TL)
        _, paper_sc, paper_tl = paper.get(target.target, (None, None, None))
        name = f"{target.target} ({facts.unit})" if facts.unit else target.target
        errors = _bold_best([study.scratch, study.transfer, *([every.scratch, every.transfer] if beyond else [])])
        row = [name, f"{facts.rows:,}", number(target.base_mae, _DIGITS), *errors]
        if paper:
            over = [_over(study.transfer, paper_tl), *([_over(every.transfer, paper_tl)] if beyond else [])]
            row += [number(paper_sc, _DIGITS), number(paper_tl, _DIGITS), *(formatted(one, _RATIO) for one in over)]
        row += _made_of(every.transfer) if every.transfer else [ABSENT] * 3
        row += [number(cell.outside_mae if cell else None, _DIGITS) for cell in (every.scratch, every.transfer)]
        rows.append(row)
    return Table(heading, rows, {"property", *words})


def _comparisons(report: TransferReport) -> Table:
    """Return the comparisons; those of what was not tried are left out."""
    copies = ", ".join(target.target for target in report.copies)
    rows = []
    for targets, comparisons in (("all", report.comparisons), (f"without {copies}", report.distinct_comparisons)):
        for c in comparisons:
            tried = report.goes_beyond or c.transfer != ALL_TL
            if tried and c.wins + c.losses + c.ties:
                counts = [str(count) for count in (c.wins, c.losses, c.ties, c.left_out)]
                means = [formatted(value, _RATIO) for value in (c.mean_ratio, c.geometric_mean_ratio)]
                rows.append([f"{c.transfer} / {c.scratch}", targets, c.rows, *counts, f"{c.p:.2g}", *means])
    heading = ["compared", "targets", "rows", "better", "worse", "equal", "not compared", "p", "mean", "geometric mean"]
    return Table(heading, rows, {"compared", "targets", "rows"})


def _cells(report: TransferReport) -> Table:
    names = list(dict.fromkeys(cell.configuration for target in report.targets for cell in target.cells))
    shown = [name for name in names if report.goes_beyond or not goes_beyond(name)]
    rows = [[target.target, *(_error(target.cell(name)) for name in shown)] for target in report.targets]
    return Table(["property", *shown], rows, {"property"})


def _summary(report: TransferReport) -> list[str]:
    """Return how to read the comparisons, what the winners are made of, and which cells have no test error."""
    lines = [
        "better: targets on which the first has the smaller MAE; unseen: test rows of compositions not trained on",
        "p: one-tailed sign test; means: of the ratios of the MAEs",
    ]
    lines += [f"{target.target} has the values of {target.facts.copy_of}" for target in report.copies]
    lines += _tally_lines("best TL", report.paper_winners)
    if report.goes_beyond:
        lines += _tally_lines("best TL or TL+", report.winners)
    seconds = report.seconds
    took = f"{seconds / _HOUR:.1f} h" if seconds >= _HOUR else f"{seconds:.1f} s"
    return [*lines, *_state_lines(report), f"all measurements took {took}"]


def _tally_lines(title: str, tally: Tally) -> list[str]:
    return [
        f"{title}, {what} by number of targets: " + ", ".join(f"{name} ({count})" for name, count in counts.items())
        for what, counts in vars(tally).items()
        if counts
    ]


def _state_lines(report: TransferReport) -> list[str]:
    """Return how many cells came to what, and where those that have no test error are."""
    cells = [(target, cell) for target in report.targets for cell in target.cells]
    states = Counter(cell.state for _, cell in cells)
    lines = [f"of {len(cells)} cells: " + ", ".join(f"{count} {state}" for state, count in states.most_common())]
    for state in (State.NOT_RUN, State.EARLY, State.UNTESTED, State.FAILED):
        where: dict[str, list[str]] = {}
        for target, cell in cells:
            if cell.state == state:
                where.setdefault(cell.configuration, []).append(target.target)
        if where:
            listed = (f"{name} on {_targets(targets, len(report.targets))}" for name, targets in where.items())
            lines.append(f"{state}: " + "; ".join(listed))
    failed = next(((target, cell) for target, cell in cells if cell.error), None)
    if failed is not None:
        lines.append(f"first failure: {failed[1].configuration} on {failed[0].target}: {failed[1].error}")
    return lines


def _targets(targets: Sequence[str], total: int) -> str:
    few = 3
    if len(targets) == total > 1:
        return "all targets"
    return f"{len(targets)} targets" if len(targets) > few else ", ".join(targets)


def _paper_lines(report: TransferReport, paper: PaperErrors) -> list[str]:
    known = [(target, paper[target.target]) for target in report.targets if target.target in paper]
    lines = []
    for among in (PAPER_SC, PAPER_TL, *([ALL_TL] if report.goes_beyond else [])):
        theirs, place = (PAPER_SC, 1) if among == PAPER_SC else (PAPER_TL, 2)
        over = [_over(target.best_of(among), errors[place]) for target, errors in known]
        if ratios := [found for found in over if found is not None]:
            means = [formatted(value, _RATIO) for value in (mean(ratios), geometric_mean(ratios))]
            lines.append(
                f"our best {among} over the paper's best {theirs}: mean {means[0]}, geometric mean {means[1]}, at most "
                f"1 on {sum(r <= 1 for r in ratios)} of {len(ratios)} targets"
            )
    bases = [(t.target, t.base_mae / errors[0]) for t, errors in known if t.base_mae is not None and errors[0]]
    apart = [f"{name} ({ours:.3f} times)" for name, ours in bases if abs(ours - 1.0) > _REPRODUCED]
    if bases:
        line = f"Base within {_REPRODUCED:.0%} of the paper's on {len(bases) - len(apart)} of {len(bases)} targets"
        lines.append(f"{line}; not on {', '.join(apart)}" if apart else line)
    return lines


def _error(cell: Cell | None) -> str:
    """Return the test MAE of a cell, or in words why there is none."""
    if cell is None:
        return ABSENT
    return number(cell.test_mae, _DIGITS) if cell.state == State.MEASURED else cell.state


def _made_of(cell: Cell) -> list[str]:
    """Return configuration, features and model of a winner; of many features their number."""
    together = " + ".join(cell.features)
    features = together if len(together) <= _WIDEST_FEATURES else f"{len(cell.features)} features"
    return [cell.configuration, features, cell.model]


def _bold_best(cells: Sequence[Cell | None]) -> list[str]:
    """Return the test errors, the smallest in bold."""
    best = min((cell.test_mae for cell in cells if cell and cell.test_mae is not None), default=None)
    return [f"**{_error(c)}**" if c and best is not None and c.test_mae == best else _error(c) for c in cells]


def _over(cell: Cell | None, published: float | None) -> float | None:
    return cell.test_mae / published if cell is not None and cell.test_mae is not None and published else None
