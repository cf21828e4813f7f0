"""An evaluation on a task as tables and notes, for a terminal and for a record."""

from collections.abc import Iterator

from matlake.studies.matbench.folds import PUBLIC
from matlake.studies.matbench.report import KindReport, MatbenchReport
from matlake.studies.report import ABSENT, Notes, Table, as_markdown, as_text, formatted, number

_DIGITS = 4
_SHARE = ".0%"
_CORRELATION = ".2f"


def report_lines(report: MatbenchReport) -> list[str]:
    """Return the text for people."""
    return as_text([Notes(list(_about(report)))], *([part] for part in _tables(report)), [Notes(list(_notes(report)))])


def markdown(report: MatbenchReport) -> str:
    """Return the record of an evaluation."""
    title = f"# {report.task}"
    return as_markdown([title, Notes(list(_about(report))), *_tables(report), Notes(list(_notes(report)))])


def _tables(report: MatbenchReport) -> Iterator[Table]:
    if report.published:
        yield _beside_published(report)
    yield _scores(report)
    yield _trust(report)


def _about(report: MatbenchReport) -> Iterator[str]:
    unit = f" in {report.unit}" if report.unit else ""
    yield f"{report.task}: {report.target}{unit}, {report.rows:,} rows"
    yield f"features {', '.join(report.features)}; model {report.model}; seed {report.seed}"
    if report.failed:
        yield f"{report.failed:,} rows are not valid materials (see the view failures): they are not tested"
    if report.rows_expected not in (None, report.rows):
        yield (
            f"the benchmark's file has {report.rows_expected:,} rows: these folds are not its folds, and the published "
            "results are not shown"
        )


def _beside_published(report: MatbenchReport) -> Table:
    """Return one's own score among the published ones, best first."""
    rows = [[one.model, number(one.score, _DIGITS), one.reference] for one in report.published]
    if report.public is not None and report.place is not None:
        own = f"{number(report.public.score, _DIGITS)} ± {number(report.public.score_std, _DIGITS)}"
        rows.insert(report.place - 1, ["matlake", own, f"{report.model}, this evaluation"])
    return Table(["public folds", report.metric, "reference"], rows, {"public folds", "reference"})


def _scores(report: MatbenchReport) -> Table:
    yes_no = any(one.roc_auc is not None for one in report.kinds)
    others = ["ROC-AUC", "log loss"] if yes_no else ["RMSE"]
    rows = []
    for one in report.kinds:
        values = [one.roc_auc, one.log_loss] if yes_no else [one.rmse]
        rows.append(
            [
                *(one.kind, f"{one.measured} of {one.folds}", f"{one.tested:,}"),
                *(number(value, _DIGITS) for value in (one.score, one.score_std, *values)),
                _best_and_worst(one),
                ", ".join(one.models) or ABSENT,
            ]
        )
    heading = ["folds", "measured", "tested", report.metric, "± over folds", *others, "best and worst fold", "models"]
    return Table(heading, rows, {"folds", "measured", "models"})


def _best_and_worst(one: KindReport) -> str:
    return f"{number(min(one.scores), _DIGITS)} to {number(max(one.scores), _DIGITS)}" if one.scores else ABSENT


def _trust(report: MatbenchReport) -> Table:
    heading = [
        *("folds", f"{report.level:.0%} intervals hold", "mean width", "score > 1", "MAE, score ≤ 1", "MAE, score > 1"),
        "rank correlation of error and score",
    ]
    rows = [
        [
            *(one.kind, formatted(one.coverage, _SHARE), number(one.mean_width), formatted(one.beyond, _SHARE)),
            *(number(one.error_near), number(one.error_beyond), formatted(one.score_correlation, _CORRELATION)),
        ]
        for one in report.kinds
    ]
    return Table(heading, rows, {"folds"})


def _notes(report: MatbenchReport) -> Iterator[str]:
    for one in report.kinds:
        if one.kind == PUBLIC and one.apart is not None:
            shared = one.tested - one.apart
            yield (
                f"public folds: the compositions of {shared:,} of {one.tested:,} tested rows are trained on, too, as "
                f"the benchmark has it; {report.metric} on the others: {number(one.apart_score, _DIGITS)}"
            )
        yield from (f"{one.kind}, {failure}" for failure in one.failures)
    yield "score: out-of-distribution score; above 1 a row is farther from the training rows than 95 % of them"
    if report.source:
        yield f"published results: {report.source}"
