"""A report of an extrapolation as Markdown."""

from collections.abc import Sequence

from matlake.studies.extrapolation.methods import FINE_TUNE, MEAN, NEAREST, SCRATCH
from matlake.studies.extrapolation.report import ExtrapolationReport
from matlake.studies.extrapolation.report_text import (
    ABSENT,
    FAILURES_LEFT,
    WAYS_LEFT,
    failure_rows,
    interval,
    legend_lines,
    note_lines,
    number,
    rule_lines,
    split_lines,
    way_rows,
)
from matlake.text_tables import markdown_table


def markdown(report: ExtrapolationReport) -> str:
    """Return one target's report: the ways of each split, the ratios and when they fail."""
    parts = [_listed(legend_lines(report))]
    for split in report.splits:
        about, *more = split_lines(split)
        parts += [f"**`{split.split}`**{about.removeprefix(split.split)}. {' '.join(more)}."]
        parts += [markdown_table(way_rows(split), WAYS_LEFT), _listed(note_lines(split))]
        parts += [markdown_table(failure_rows(split), FAILURES_LEFT)] if split.shown else []
    parts.append(_listed(rule_lines(report)))
    return "\n\n".join(part for part in parts if part) + "\n"


def overview(reports: Sequence[ExtrapolationReport]) -> str:
    """Return one table over targets and splits: the decoupled head, the best network of each start, and the ratios."""
    rows = [
        [
            *("property", "split", "train", "test", "discontinuous", "mean", "nearest"),
            *("decoupled head", "its RMSE", "best head here", "from scratch", "ratio", "fine-tuned", "ratio"),
        ]
    ]
    for report in reports:
        for split in report.splits:
            head = split.way(split.decoupled) if split.decoupled else None
            rows.append(
                [
                    f"{report.target}",
                    f"`{split.split}`",
                    *(f"{count:,}" for count in (split.n_train, split.n_test, split.n_discontinuous)),
                    *(number(_best(report, split.split, kind)[0]) for kind in (MEAN, NEAREST)),
                    head.way if head else ABSENT,
                    f"{number(head.rmse)} {interval(head.rmse_interval)}" if head else ABSENT,
                    number(split.way(split.best_on_test).rmse) if split.best_on_test else ABSENT,
                    *_network(report, split.split, SCRATCH),
                    *_network(report, split.split, FINE_TUNE),
                ]
            )
    return markdown_table(rows, (0, 1, 7))


def _network(report: ExtrapolationReport, split: str, kind: str) -> list[str]:
    """Return the RMSE of the network with the smallest validation error of a start, and its ratio to the head."""
    rmse, name = _best(report, split, kind)
    if rmse is None:
        return [ABSENT, ABSENT]
    ratio = next((one for one in report.split(split).ratios if one.way == name), None)
    told = f"{ratio.rmse:.2f} {interval(ratio.rmse_interval)}" if ratio else ABSENT
    return [f"{number(rmse)} ({name.partition(':')[2]})", told]


def _best(report: ExtrapolationReport, split: str, kind: str) -> tuple[float | None, str]:
    """Return the RMSE and name of the way of a kind with the smallest validation error, or of the first one."""
    ways = [way for way in report.split(split).ways if way.kind == kind and way.rmse is not None]
    best = min(ways, key=lambda way: way.validation_mae or 0.0, default=None)
    return (best.rmse, best.way) if best else (None, "")


def _listed(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
