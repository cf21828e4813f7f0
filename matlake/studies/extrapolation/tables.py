"""An extrapolation study as tables and notes: for each split the methods, the ratios and when they fail; a rule."""

from collections.abc import Iterator, Sequence
from typing import Final

from matlake.encoders.leakage import NOTHING, Exposure
from matlake.materials.periodic_table import BLOCKS
from matlake.regress.uncertainty.applicability import FARTHEST
from matlake.studies.extrapolation.error_analysis import FailureReport, Group, bins_of
from matlake.studies.extrapolation.report import ExtrapolationReport, MethodReport, SplitReport
from matlake.studies.measurement import State
from matlake.studies.report import ABSENT, Notes, Table, as_markdown, as_text, formatted, interval_text, number

_CORRELATION: Final = ".2f"
_SHARE: Final = ".0%"


def report_lines(report: ExtrapolationReport) -> list[str]:
    """Return the text for people."""
    splits = [list(_split(split)) for split in report.splits]
    return as_text([Notes(_legend(report))], *splits, [Notes(_rule(report))])


def markdown(report: ExtrapolationReport) -> str:
    """Return one target's page."""
    splits = [part for split in report.splits for part in _split(split)]
    return as_markdown([Notes(_legend(report)), *splits, Notes(_rule(report))])


def count_text(first: int, last: int | None) -> str:
    """Return the heading of a bin of training rows with the rarest element."""
    return f"{first}+ rows" if last is None else f"{first} rows" if last == first else f"{first}–{last} rows"


def _legend(report: ExtrapolationReport) -> list[str]:
    """Return what is predicted, from what, and what letters stand for."""
    unit = f" in {report.unit}" if report.unit else ""
    lines = [f"{report.target}{unit}: {report.rows:,} rows, seeds {', '.join(map(str, report.seeds))}"]
    if report.left_out:
        lines[0] += f"; {report.left_out:,} more lack a feature"
    lines += [f"{letter}: {' + '.join(features)}" for letter, features in report.letters.items()]
    lines.append(
        "encoder's training: on this property or another, and tested rows whose composition it was trained on; RMSE "
        "outside: on the others, with their number over all seeds"
    )
    return lines + [f"{split} is left out: {reason}" for split, reason in report.skipped.items()]


def _split(split: SplitReport) -> Iterator[Table | Notes]:
    numbers = (
        f"{split.n_discontinuous:,} of {split.n_test:,} tested rows are discontinuous; the target's standard deviation "
        f"in training is {number(split.spread)}"
    )
    yield Notes(["; ".join(split.descriptions), numbers], title=split.split)
    heading = ["method", "RMSE", "95 %", "MAE", "95 %", "validation MAE", "encoder's training", "RMSE outside"]
    yield Table(heading, [_method_row(method, split) for method in split.methods], {"method", "encoder's training"})
    yield Notes(_notes(split))
    if split.shown:
        yield _failures(split)


def _method_row(method: MethodReport, split: SplitReport) -> list[str]:
    name = method.method + ("*" if method.method == split.decoupled else "")
    name += "†" if method.method == split.best_on_test else ""
    if method.state == State.PARTLY:
        name += f" ({len(method.seeds)} of {len(split.labels)} seeds)"
    outside = ABSENT
    if method.rmse is not None and method.exposures:
        known = f"{number(method.outside_rmse)} ({method.outside_rows:,})"
        outside = known if method.outside_rows else "no such rows"
    return [
        *(name, method.state if method.rmse is None else number(method.rmse), interval_text(method.rmse_interval)),
        *(number(method.mae), interval_text(method.mae_interval), number(method.validation_mae)),
        *(_trained_on(method.exposures), outside),
    ]


def _notes(split: SplitReport) -> list[str]:
    """Return what the marks mean, the ratios, and what was refused or failed."""
    lines = []
    if split.decoupled:
        lines.append(
            f"* the head with the smallest validation error ({split.decoupled}); † with the smallest RMSE here"
        )
    lines += [
        f"{ratio.method} / {split.decoupled}: RMSE {ratio.rmse:.2f} {interval_text(ratio.rmse_interval)}, "
        f"MAE {ratio.mae:.2f} {interval_text(ratio.mae_interval)}"
        for ratio in split.ratios
    ]
    reasons: dict[str, list[str]] = {}
    for method in split.methods:
        if method.reason:
            reasons.setdefault(f"{method.state}: {method.reason}", []).append(method.method)
    return lines + [f"{', '.join(methods)}: {reason}" for reason, methods in reasons.items()]


def _failures(split: SplitReport) -> Table:
    """Return MAEs by what is known before a prediction is trusted, of the methods that are shown."""
    known = [found for name in split.shown if (found := split.failure(name))]
    counts = bins_of(known)
    heading = ["MAE (rows)", "continuous", "discontinuous", "score ≤ 1", "score > 1", "trusted", "low confidence"]
    heading.append("rank correlation with score")
    rows = []
    for found in known:
        groups = [found.continuous, found.discontinuous, found.near, found.far, found.trusted, found.low_confidence]
        correlation = formatted(found.score_correlation, _CORRELATION)
        rows.append([found.method, *map(_group, groups), correlation, *map(_group, found.in_bins(counts))])
    return Table([*heading, *(count_text(*ends) for ends in counts)], rows, {"MAE (rows)"})


def _rule(report: ExtrapolationReport) -> list[str]:
    """Return the rule, and what it is worth over all splits."""
    rule = (
        f"rule: trust a prediction whose elements are each in at least {report.few} training rows, whose blocks "
        f"({', '.join(BLOCKS)}) are together in as many, and whose out-of-distribution score is at most {FARTHEST:g}"
    )
    return [rule, *map(_worth, report.pooled_shown)]


def _worth(found: FailureReport) -> str:
    trusted, low = found.trusted, found.low_confidence
    caught = "none failed" if found.caught is None else f"{found.caught:.0%} of the failures have low confidence"
    return (
        f"{found.method}: MAE {_group(trusted)} trusted, {_group(low)} low confidence; fail "
        f"{formatted(trusted.failed, _SHARE)} and {formatted(low.failed, _SHARE)}; {caught}; trusted rows err "
        f"{number(trusted.over_expected)} times the validation error, the others {number(low.over_expected)}; rank "
        f"correlation of error with score {formatted(found.score_correlation, _CORRELATION)}, with rows of the rarest "
        f"element {formatted(found.count_correlation, _CORRELATION)}"
    )


def _trained_on(exposures: Sequence[Exposure]) -> str:
    """Return on how many of the tested rows encoders were trained, the largest share of each."""
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


def _group(group: Group) -> str:
    """Return the MAE of a group and its rows."""
    return ABSENT if not group.rows else f"{number(group.mae)} ({group.rows:,})"
