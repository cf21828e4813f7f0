"""A report of an extrapolation as text for people."""

from collections.abc import Sequence
from typing import Final

from matlake.materials.periodic_table import BLOCKS
from matlake.regress.uncertainty.applicability import FARTHEST
from matlake.studies.extrapolation.error_analysis import FailureReport, Group
from matlake.studies.extrapolation.leakage import NOTHING, Exposure
from matlake.studies.extrapolation.report import (
    NOT_RUN,
    PARTLY,
    ExtrapolationReport,
    Interval,
    SplitReport,
    WayReport,
)
from matlake.text_tables import aligned

ABSENT: Final = "–"
WAYS_LEFT: Final = (0, 6)
FAILURES_LEFT: Final = (0,)

_LARGE: Final = 10_000


def report_lines(report: ExtrapolationReport) -> list[str]:
    """Return a report: for each split the ways, the ratios and when they fail; then the rule over all splits."""
    lines = legend_lines(report)
    for split in report.splits:
        lines += ["", *split_lines(split), *aligned(way_rows(split), WAYS_LEFT), *note_lines(split)]
        lines += aligned(failure_rows(split), FAILURES_LEFT) if split.shown else []
    lines += ["", *rule_lines(report)]
    return lines


def legend_lines(report: ExtrapolationReport) -> list[str]:
    """Return what is predicted, from what, and what letters stand for."""
    unit = f" in {report.unit}" if report.unit else ""
    lines = [f"{report.target}{unit}: {report.rows:,} rows, seeds {', '.join(map(str, report.seeds))}"]
    if report.left_out:
        lines[0] += f"; {report.left_out:,} more lack a feature"
    lines += [f"{letter}: {' + '.join(features)}" for letter, features in report.letters.items()]
    lines.append(
        "encoder's training: on this property or another, and tested rows whose composition it was trained on; RMSE "
        "unseen: on the others, with their number over all seeds"
    )
    return lines + [f"{split} is left out: {reason}" for split, reason in report.skipped.items()]


def split_lines(split: SplitReport) -> list[str]:
    """Return what a split holds out."""
    numbers = (
        f"{split.n_discontinuous:,} of {split.n_test:,} tested rows are discontinuous; the target's standard deviation "
        f"in training is {number(split.spread)}"
    )
    return [f"{split.split}: {'; '.join(split.descriptions)}", numbers]


def way_rows(split: SplitReport) -> list[list[str]]:
    """Return the ways as a table, its heading first."""
    rows = [["way", "RMSE", "95 %", "MAE", "95 %", "validation MAE", "encoder's training", "RMSE unseen"]]
    for way in split.ways:
        marks = ("*" if way.way == split.decoupled else "") + ("†" if way.way == split.best_on_test else "")
        error = way.state if way.rmse is None else number(way.rmse)
        name = f"{way.way}{marks}" + (
            f" ({len(way.seeds)} of {len(split.labels)} seeds)" if way.state == PARTLY else ""
        )
        rows.append(
            [
                *(name, error, interval(way.rmse_interval)),
                *(number(way.mae), interval(way.mae_interval), number(way.validation_mae)),
                *(seen(way.exposures), _unseen(way)),
            ]
        )
    return rows


def note_lines(split: SplitReport) -> list[str]:
    """Return what the marks mean, the ratios, and what was refused or failed."""
    lines = []
    if split.decoupled:
        lines.append(
            f"* the head with the smallest validation error ({split.decoupled}); † with the smallest RMSE here"
        )
    lines += [
        f"{ratio.way} / {split.decoupled}: RMSE {ratio.rmse:.2f} {interval(ratio.rmse_interval)}, "
        f"MAE {ratio.mae:.2f} {interval(ratio.mae_interval)}"
        for ratio in split.ratios
    ]
    reasons: dict[str, list[str]] = {}
    for way in split.ways:
        if way.reason:
            reasons.setdefault(f"{way.state}: {way.reason}", []).append(way.way)
    return lines + [f"{', '.join(ways)}: {reason}" for reason, ways in reasons.items()]


def failure_rows(split: SplitReport) -> list[list[str]]:
    """Return MAEs by what is known before a prediction is trusted, of the ways that are shown."""
    known = [found for name in split.shown if (found := split.failure(name))]
    counts = list(dict.fromkeys((part.first, part.last) for found in known for part in found.by_count))
    heading = ["MAE (rows)", "continuous", "discontinuous", "score ≤ 1", "score > 1", "trusted", "doubted"]
    heading.append("rank correlation with score")
    rows = [[*heading, *(count_text(first, last) for first, last in sorted(counts))]]
    for found in known:
        groups = [found.continuous, found.discontinuous, found.near, found.far, found.trusted, found.doubted]
        bins = {(part.first, part.last): part.group for part in found.by_count}
        told = [*map(group_text, groups), correlation(found.score_correlation)]
        rows.append([found.way, *told, *(group_text(bins.get(key)) for key in sorted(counts))])
    return rows


def rule_lines(report: ExtrapolationReport) -> list[str]:
    """Return the rule, and what it is worth over all splits."""
    rule = (
        f"rule: trust a prediction whose elements are each in at least {report.few} training rows, whose blocks "
        f"({', '.join(BLOCKS)}) are together in as many, and whose out-of-distribution score is at most {FARTHEST:g}"
    )
    shown = dict.fromkeys(name for split in report.splits for name in split.shown)
    return [rule, *(rule_line(found) for found in report.pooled if found.way in shown)]


def rule_line(found: FailureReport) -> str:
    """Return what the rule is worth for one way."""
    trusted, doubted = found.trusted, found.doubted
    caught = "none failed" if found.caught is None else f"{found.caught:.0%} of the failures are doubted"
    return (
        f"{found.way}: MAE {group_text(trusted)} trusted, {group_text(doubted)} doubted; fail "
        f"{share(trusted.failed)} and {share(doubted.failed)}; {caught}; trusted rows err "
        f"{number(trusted.over_expected)} times the validation error, doubted {number(doubted.over_expected)}; rank "
        f"correlation of error with score {correlation(found.score_correlation)}, with rows of the rarest element "
        f"{correlation(found.count_correlation)}"
    )


def seen(exposures: Sequence[Exposure]) -> str:
    """Return what encoders saw of the tested rows, the largest share of each."""
    parts = []
    for encoder in dict.fromkeys(exposure.encoder for exposure in exposures):
        own = [exposure for exposure in exposures if exposure.encoder == encoder]
        worst = max(own, key=lambda exposure: exposure.compositions / max(1, exposure.tested))
        if worst.how == NOTHING:
            parts.append("nothing")
            continue
        bound = "" if worst.crystals is not None or worst.chosen_by is not None else "≤ "
        about = "this property" if worst.same_property else "another"
        parts.append(f"{about}, {bound}{worst.compositions:,}/{worst.tested:,}")
    return "; ".join(dict.fromkeys(parts)) or ABSENT


def number(value: float | None) -> str:
    """Return a number in three digits, a dash where there is none."""
    if value is None:
        return ABSENT
    return f"{value:,.0f}" if abs(value) >= _LARGE else f"{value:.3g}"


def interval(ends: Interval | None) -> str:
    """Return the ends of an interval."""
    return "" if ends is None else f"[{number(ends[0])}, {number(ends[1])}]"


def share(value: float | None) -> str:
    """Return a share in per cent."""
    return ABSENT if value is None else f"{value:.0%}"


def correlation(value: float | None) -> str:
    """Return a correlation in two decimals."""
    return ABSENT if value is None else f"{value:.2f}"


def group_text(group: Group | None) -> str:
    """Return the MAE of a group and its rows."""
    return ABSENT if group is None or not group.rows else f"{number(group.mae)} ({group.rows:,})"


def count_text(first: int, last: int | None) -> str:
    """Return the heading of a bin of training rows with the rarest element."""
    return f"{first}+ rows" if last is None else f"{first} rows" if last == first else f"{first}–{last} rows"


def _unseen(way: WayReport) -> str:
    if way.state == NOT_RUN or way.rmse is None or not way.exposures:
        return ABSENT
    return f"{number(way.unseen_rmse)} ({way.unseen_rows:,})" if way.unseen_rows else "no such rows"
