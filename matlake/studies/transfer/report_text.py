"""A report of transfer as text for people."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from matlake.studies.transfer.comparison import Tally
from matlake.studies.transfer.winners import EARLY, FAILED, MEASURED, NOT_RUN, UNTESTED, Cell
from matlake.text_tables import aligned

if TYPE_CHECKING:
    from matlake.studies.transfer.report import TargetReport, TransferReport

ABSENT: Final = "–"

_WIDEST_FEATURES: Final = 60
_LARGE: Final = 10_000
_HOUR: Final = 3600


def report_lines(report: "TransferReport") -> list[str]:
    """Return a report as a table, a line a target, and what it comes to over all targets."""
    return [
        *aligned(_winners(report), left={0, 1, 5, 7}),
        "",
        *aligned(comparison_rows(report), left={0, 1, 2}),
        "",
        *summary_lines(report),
    ]


def comparison_rows(report: "TransferReport") -> list[list[str]]:
    """Return the comparisons as a table, its heading first; those of what was not tried are left out."""
    from matlake.studies.transfer.report import ALL_TL

    copies = ", ".join(target.target for target in report.copies)
    heading = ["compared", "targets", "rows", "better", "worse", "equal", "not compared", "p", "mean", "geometric mean"]
    rows = [heading]
    for targets, comparisons in (("all", report.comparisons), (f"without {copies}", report.distinct_comparisons)):
        for c in comparisons:
            tried = report.goes_beyond or c.transfer != ALL_TL
            if tried and c.wins + c.losses + c.ties:
                counts = [str(count) for count in (c.wins, c.losses, c.ties, c.left_out)]
                means = [ratio(c.mean_ratio), ratio(c.geometric_mean_ratio)]
                rows.append([f"{c.transfer} / {c.scratch}", targets, c.rows, *counts, f"{c.p:.2g}", *means])
    return rows


def summary_lines(report: "TransferReport") -> list[str]:
    """Return how to read the comparisons, what the winners are made of, and which cells have no test error."""
    lines = [
        "better: targets on which the first has the smaller MAE on the test rows, or on those of unseen compositions",
        "p: one-tailed sign test; means: of the ratios of the MAEs",
    ]
    lines += [f"{target.target} has the values of {target.facts.copy_of}" for target in report.copies]
    lines += _tally_lines("best TL", report.paper_winners)
    if report.goes_beyond:
        lines += _tally_lines("best TL or TL+", report.winners)
    return [*lines, *_state_lines(report), f"all measurements took {_duration(report.seconds)}"]


def number(value: float | None) -> str:
    """Return an error in four digits, a dash where there is none."""
    if value is None:
        return ABSENT
    return f"{value:,.0f}" if abs(value) >= _LARGE else f"{value:.4g}"


def ratio(value: float | None) -> str:
    """Return a ratio in three decimals, a dash where there is none."""
    return ABSENT if value is None else f"{value:.3f}"


def features_of(cell: Cell) -> str:
    """Return the names of a winner's features, or how many there are where that would be long."""
    together = " + ".join(cell.features)
    return together if len(together) <= _WIDEST_FEATURES else f"{len(cell.features)} features"


def error_of(cell: Cell) -> str:
    """Return the test MAE of a cell, or in words why there is none."""
    return number(cell.test_mae) if cell.state == MEASURED else cell.state


def _winners(report: "TransferReport") -> list[list[str]]:
    from matlake.studies.transfer.report import ALL_SC, ALL_TL, PAPER_SC, PAPER_TL

    beyond = report.goes_beyond
    best_sc, best_tl = (f"best {ALL_SC}", f"best {ALL_TL}") if beyond else ("best SC", "best TL")
    rows = [["property", "unit", "rows", "Base", best_sc, "", best_tl, "", "ratio", *(["TL/SC"] if beyond else [])]]
    for target in report.targets:
        pair = target.pair(ALL_SC, ALL_TL)
        row = [target.target, target.facts.unit or ABSENT, f"{target.facts.rows:,}", number(target.base_mae)]
        row += [*_winner(pair.scratch), *_winner(pair.transfer, whole=True), ratio(pair.ratio())]
        rows.append(row + ([ratio(target.pair(PAPER_SC, PAPER_TL).ratio())] if beyond else []))
    return rows


def _winner(cell: Cell | None, *, whole: bool = False) -> tuple[str, str]:
    if cell is None:
        return ABSENT, ""
    of = f"{cell.configuration}, {features_of(cell)}, {cell.model}" if whole else cell.configuration
    return error_of(cell), f"({of})"


def _tally_lines(title: str, tally: Tally) -> list[str]:
    counted = {
        "configurations": tally.configurations,
        "sources": tally.sources,
        "layers": tally.layers,
        "models": tally.models,
    }
    return [
        f"{title}, {what} by number of targets: " + ", ".join(f"{name} ({count})" for name, count in counts.items())
        for what, counts in counted.items()
        if counts
    ]


def _state_lines(report: "TransferReport") -> list[str]:
    """Return how many cells came to what, and where those that have no test error are."""
    cells = [(target, cell) for target in report.targets for cell in target.cells]
    states = Counter(cell.state for _, cell in cells)
    lines = [f"of {len(cells)} cells: " + ", ".join(f"{count} {state}" for state, count in states.most_common())]
    for state in (NOT_RUN, EARLY, UNTESTED, FAILED):
        where: dict[str, list[TargetReport]] = {}
        for target, cell in cells:
            if cell.state == state:
                where.setdefault(cell.configuration, []).append(target)
        told = [f"{name} on {_targets(targets, len(report.targets))}" for name, targets in where.items()]
        if told:
            lines.append(f"{state}: " + "; ".join(told))
    failed = next(((target, cell) for target, cell in cells if cell.error), None)
    if failed is not None:
        lines.append(f"first failure: {failed[1].configuration} on {failed[0].target}: {failed[1].error}")
    return lines


def _targets(targets: "Sequence[TargetReport]", total: int) -> str:
    few = 3
    if len(targets) == total:
        return "all targets" if total > 1 else targets[0].target
    return f"{len(targets)} targets" if len(targets) > few else ", ".join(target.target for target in targets)


def _duration(seconds: float) -> str:
    return f"{seconds / _HOUR:.1f} h" if seconds >= _HOUR else f"{seconds:.1f} s"
