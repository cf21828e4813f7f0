"""Tables of ``encoders.py --shipping``."""

from collections.abc import Sequence
from typing import Final

from benchmarks.helpers.common import table
from benchmarks.helpers.shipping_record import CONTROL, SHIPPED, Row
from benchmarks.helpers.shipping_rule import Case, judge

ABSENT: Final = "–"
_NAMED: Final = 3
"""Sets that the first table names; the second has all."""


def verdict_table(rows: Sequence[Row], shown: Sequence[Row] | None = None) -> str:
    """Return one line for each encoder: where it adds, how much, and what follows.

    Args:
        rows: Of the record, the controls among them.
        shown: Those that have a line; None for all.
    """
    lines = []
    for row in rows if shown is None else shown:
        verdict, alone = row.verdict(rows), judge(row.cases)
        best = [next(case for case in verdict.adds if case.set == one) for one in verdict.added_sets]
        named = "; ".join(f"{one.target}, {one.folds}, {one.labels:,}: {_gain(one)}" for one in best[:_NAMED])
        more = f"; and {len(best) - _NAMED} more" if len(best) > _NAMED else ""
        said = CONTROL if row.role == CONTROL else f"**{verdict}**" if row.role == SHIPPED else str(verdict)
        label = f"{row.name} ({_release(row)})"
        lines.append(
            [
                label,
                " + ".join(row.baseline),
                str(len(alone.added_sets)),
                f"{len(best)} of {len(verdict.sets)}",
                named + more or ABSENT,
                said,
            ]
        )
    header = ["encoder", "added to", "sets, without controls", "adds on", "largest gains in error", "verdict"]
    return table(header, lines)


def set_table(rows: Sequence[Row]) -> str:
    """Return for each set the ratio of errors of each encoder that was added to one baseline, controls among them."""
    sets = dict.fromkeys(case.set for row in rows for case in row.cases)
    adds = {row.key: row.verdict(rows).adds for row in rows}
    lines = [[", ".join(one), *(_cell(row.cases, adds[row.key], one) for row in rows)] for one in sets]
    return table(["set", *(row.name for row in rows)], lines)


def _cell(every: Sequence[Case], adds: Sequence[Case], one: tuple[str, str]) -> str:
    """Return the ratios by number of labels, bold where the encoder adds."""
    cases = [case for case in every if case.set == one]
    shown = [f"**{case.ratio:.2f}**" if case in adds else f"{case.ratio:.2f}" for case in cases]
    text = " ".join(shown) or ABSENT
    return f"({text})" if cases and cases[0].learned else text


def _gain(case: Case) -> str:
    """Return ``-23 % [-27, -19]``."""
    middle, lower, upper = (100 * (ratio - 1) for ratio in (case.ratio, *case.interval))
    return f"{middle:+.0f} % [{lower:+.0f}, {upper:+.0f}]"


def _release(row: Row) -> str:
    return row.sha256[:8] if row.role == CONTROL else f"version {row.version}, {row.sha256[:8]}"
