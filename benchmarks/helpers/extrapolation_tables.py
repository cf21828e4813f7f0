"""Tables of ``extrapolation.py`` over all properties, by what is held out."""

from collections.abc import Callable, Iterable, Sequence
from statistics import geometric_mean, median
from typing import Final

import numpy as np
from numpy.typing import NDArray

from benchmarks.helpers.common import table
from matlake.metrics import rank_correlation
from matlake.studies.extrapolation.error_analysis import Group
from matlake.studies.extrapolation.evaluate import ExtrapolationResult
from matlake.studies.extrapolation.methods import FINE_TUNE, HEAD, MEAN, NEAREST, NETWORKS, SCRATCH
from matlake.studies.extrapolation.report import (
    Errors,
    ExtrapolationReport,
    Ratio,
    SplitReport,
    decoupled_head,
    ratio_of,
)
from matlake.studies.measurement import State
from matlake.studies.report import ABSENT, Table, interval_text, number
from matlake.studies.statistics import Resamples

HELD_OUT: Final = {
    "group": "an element group",
    "crystal-system": "a symmetry",
    "space-group": "a symmetry",
    "value": "the highest values",
    "sparse": "a thin region",
    "time": "later years",
    "random": "rows at random",
}
STARTS: Final = {SCRATCH: "from scratch", FINE_TUNE: "fine-tuned"}
USUAL_MODEL: Final = "svr"
HIGH: Final = "value:high"
TOP: Final = 0.9
SECONDS_AN_HOUR: Final = 3600


def held_out(split: SplitReport) -> str:
    """Return in words what a split leaves out."""
    return HELD_OUT[split.split.partition(":")[0]]


def kinds(reports: Sequence[ExtrapolationReport]) -> dict[str, list[tuple[ExtrapolationReport, SplitReport]]]:
    """Return the splits of all properties that have a head measured, by what they hold out."""
    found: dict[str, list[tuple[ExtrapolationReport, SplitReport]]] = {name: [] for name in HELD_OUT.values()}
    for report in reports:
        for split in report.splits:
            if split.decoupled:
                found[held_out(split)].append((report, split))
    return {name: splits for name, splits in found.items() if splits}


def _first_measured(report: ExtrapolationReport) -> str:
    """Return the letter of the first set of features with a head measured; others may be refused as leakage."""
    ways = [way for split in report.splits for way in split.methods]
    return min((way.letter for way in ways if way.kind == HEAD and way.rmse), default="")


def against_features(results: Sequence[ExtrapolationResult], architecture: str) -> str:
    """Return the RMSE of networks over that of the best validated head on each set of features."""
    letters = list(dict.fromkeys(letter for result in results for letter in result.report.letters))
    names = dict(zip(letters, _features([result.report for result in results]), strict=True))
    columns = kinds([result.report for result in results])
    rows = []
    for start, words in STARTS.items():
        for letter in letters:
            found: dict[str, list[Ratio]] = {kind: [] for kind in columns}
            for result in results:
                for split in result.report.splits:
                    ratio = _against(result, split, start, architecture, letter)
                    if ratio is not None:
                        found[held_out(split)].append(ratio)
            beyond = [ratio for kind, own in found.items() if kind != HELD_OUT["random"] for ratio in own]
            if beyond:
                cells = [spread([ratio.rmse for ratio in own]) for own in found.values()]
                plainly = sum(ratio.rmse_interval[0] > 1 for ratio in beyond)
                worse = sum(ratio.rmse_interval[1] < 1 for ratio in beyond)
                counts = f"{len(beyond)}: {sum(ratio.rmse > 1 for ratio in beyond)} (plainly {plainly}, worse {worse})"
                rows.append([words, names[letter], *cells, spread([ratio.rmse for ratio in beyond]), counts])
    return table(["network", "head on", *columns, "all but at random", "of them head better"], rows)


def _against(
    result: ExtrapolationResult, split: SplitReport, start: str, architecture: str, letter: str
) -> Ratio | None:
    """Return the ratio of an architecture's network to the best validated head on a set of features."""
    head = decoupled_head(tuple(way for way in split.methods if way.letter == letter))
    network = next(
        (way.method for way in split.methods if way.kind == start and architecture in way.model and way.rmse), None
    )
    if head is None or network is None:
        return None
    y = result.rows.matrix.y
    cells = [cell for cell in result.cells if cell.task.split == split.split]
    errors: dict[str, Errors] = {
        name: {
            cell.task.seed: found
            for cell in cells
            if cell.method.name == name and (found := cell.errors(y)) is not None
        }
        for name in (network, head.method)
    }
    tested = {cell.task.seed: cell.task.held.test for cell in cells}
    return ratio_of(network, errors[network], errors[head.method], Resamples(tested, result.rows.matrix.groups))


def ratios(split: SplitReport, start: str, architecture: str) -> Iterable[Ratio]:
    """Return the ratio of an architecture's network to the decoupled head, where it was measured."""
    for ratio in split.ratios:
        way = split.method(ratio.method)
        if way.kind == start and way.model.partition(":")[2].startswith(architecture):
            yield ratio


def network_table(reports: Sequence[ExtrapolationReport], architectures: Sequence[str]) -> str:
    """Return the errors of networks over those of the decoupled head."""
    header = ["network", "held out", "cases"]
    for start in STARTS.values():
        header += [f"{start}: RMSE / head's", "head better", "MAE / head's"]
    rows = []
    for architecture in architectures:
        for kind, splits in kinds(reports).items():
            found = {
                start: [ratio for _, split in splits for ratio in ratios(split, start, architecture)]
                for start in STARTS
            }
            if any(found.values()):
                counts = "/".join(dict.fromkeys(str(len(own)) for own in found.values()))
                rows.append([architecture, kind, counts, *(cell for own in found.values() for cell in _compared(own))])
    return table(header, rows)


def _compared(found: Sequence[Ratio]) -> list[str]:
    if not found:
        return [ABSENT] * 3
    better = sum(ratio.rmse > 1 for ratio in found)
    plainly = sum(ratio.rmse_interval[0] > 1 for ratio in found)
    worse = sum(ratio.rmse_interval[1] < 1 for ratio in found)
    return [
        spread([ratio.rmse for ratio in found]),
        f"{better} (plainly {plainly}, worse {worse})",
        spread([ratio.mae for ratio in found]),
    ]


def cost_table(reports: Sequence[ExtrapolationReport]) -> str:
    """Return what extrapolation costs the decoupled head: MAE over its validation error, RMSE over that of the mean."""
    columns = kinds(reports)
    rows = []
    for report in reports:
        cells = dict.fromkeys(columns, ABSENT)
        for split in report.splits:
            head = split.method(split.decoupled) if split.decoupled else None
            mean = next(way for way in split.methods if way.kind == MEAN)
            if head and head.mae and head.rmse and head.validation_mae and mean.rmse:
                cells[held_out(split)] = f"{head.mae / head.validation_mae:.1f}; {head.rmse / mean.rmse:.2f}"
        if set(cells.values()) != {ABSENT}:
            rows.append([report.target, f"{report.rows:,}", *cells.values()])
    return table(["property", "rows", *columns], rows)


def feature_table(reports: Sequence[ExtrapolationReport]) -> str:
    """Return the RMSE of the best validated head on each set of features over that on the first."""
    letters = list(dict.fromkeys(letter for report in reports for letter in report.letters))

    def errors(split: SplitReport) -> dict[str, float]:
        heads = {
            letter: decoupled_head(tuple(way for way in split.methods if way.letter == letter)) for letter in letters
        }
        return {letter: head.rmse for letter, head in heads.items() if head and head.rmse}

    names = dict(zip(letters, _features(reports), strict=True))
    return _relative(reports, "features", errors, letters[0], names)


def model_table(reports: Sequence[ExtrapolationReport]) -> str:
    """Return the RMSE of each regressor over that of ``svr``, on the first set of features that was measured."""

    def errors(split: SplitReport) -> dict[str, float]:
        letter = min(way.letter for way in split.methods if way.kind == HEAD and way.rmse)
        return {
            way.model or way.kind: way.rmse
            for way in split.methods
            if way.letter == letter and way.kind not in NETWORKS and way.rmse and way.state != State.PARTLY
        }

    return _relative(reports, "model", errors, USUAL_MODEL, {})


def _relative(
    reports: Sequence[ExtrapolationReport],
    what: str,
    errors: Callable[[SplitReport], dict[str, float]],
    usual: str,
    names: dict[str, str],
) -> str:
    columns = kinds(reports)
    found = {kind: [errors(split) for _, split in splits] for kind, splits in columns.items()}
    every = dict.fromkeys(name for splits in found.values() for one in splits for name in one)
    rows = []
    for name in every:
        shared = {
            kind: [one[name] / one[usual] for one in splits if name in one and usual in one]
            for kind, splits in found.items()
        }
        rows.append([names.get(name, name), *(spread(values) for values in shared.values())])
    return table([what, *columns], rows)


def _features(reports: Sequence[ExtrapolationReport]) -> list[str]:
    return [
        ", ".join(dict.fromkeys(feature.partition("@")[0].partition("-mp-")[0] for feature in own))
        for own in reports[0].letters.values()
    ]


def rule_table(reports: Sequence[ExtrapolationReport]) -> str:
    """Return what the rule is worth for decoupled heads: medians over properties, shares of all rows."""
    header = [
        "held out",
        "cases",
        "trusted",
        "their error / validation error",
        "flagged rows' error / validation error",
        "trusted rows that fail",
        "flagged rows that fail",
        "failures that are flagged",
        "rank correlation of error and score",
    ]
    rows = []
    for kind, splits in kinds(reports).items():
        found = [report for _, split in splits if (report := split.failure(split.decoupled or ""))]
        trusted, doubted = ([getattr(one, name) for one in found] for name in ("trusted", "low_confidence"))
        failed = [sum(group.rows * (group.failed or 0.0) for group in groups) for groups in (trusted, doubted)]
        count = [sum(group.rows for group in groups) for groups in (trusted, doubted)]
        correlations = [one.score_correlation for one in found if one.score_correlation is not None]
        rows.append(
            [
                *(kind, str(len(found)), _share(count[0], sum(count))),
                *(_times(groups) for groups in (trusted, doubted)),
                *(_share(part, whole) for part, whole in zip(failed, count, strict=True)),
                _share(failed[1], sum(failed)),
                f"{median(correlations):.2f}" if correlations else ABSENT,
            ]
        )
    return table(header, rows)


def high_table(results: Sequence[ExtrapolationResult]) -> str:
    """Return what is predicted for values above all that were trained on: medians over properties."""
    header = ["method", "cases", "predicted too low", "predicted in the top tenth of the values trained on"]
    header += ["predicted above all of them", "rank correlation of values and predictions"]
    found: dict[str, list[tuple[float, ...]]] = {}
    for result in results:
        first = _first_measured(result.report)
        for cell in result.cells:
            shown = cell.method.kind in NETWORKS or (cell.method.kind == HEAD and cell.method.letter == first)
            if cell.task.split == HIGH and cell.measurement is not None and shown:
                y = result.rows.matrix.y
                high = _high(y[cell.task.held.train], y[cell.task.held.test], cell.measurement.predictions)
                found.setdefault(cell.method.model if cell.method.kind == HEAD else cell.method.name, []).append(high)
    rows = []
    for name, values in found.items():
        *shares, correlations = zip(*values, strict=True)
        cells = [_ranged(median(part), part, ".0%") for part in shares]
        rows.append([name, str(len(values)), *cells, _ranged(median(correlations), correlations)])
    return table(header, rows)


def _high(trained: NDArray[np.float64], tested: NDArray[np.float64], predictions: Sequence[float]) -> tuple[float, ...]:
    predicted = np.array(predictions, dtype=np.float64)
    shares = (predicted < tested, predicted > np.quantile(trained, TOP), predicted > trained.max())
    return (*(float(share.mean()) for share in shares), rank_correlation(tested, predicted) or 0.0)


def _times(groups: Sequence[Group]) -> str:
    values = [group.over_expected for group in groups if group.over_expected is not None]
    if not values:
        return ABSENT
    return f"{values[0]:.2f}" if len(values) == 1 else _ranged(median(values), values)


def _ranged(middle: float, values: Sequence[float], form: str = ".2f") -> str:
    return f"{middle:{form}} [{min(values):{form}}, {max(values):{form}}]"


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.0%}" if whole else ABSENT


def spread(values: Sequence[float]) -> str:
    """Return the geometric mean of ratios, and in brackets the smallest and largest."""
    if not values:
        return ABSENT
    mean = geometric_mean(values)
    return f"{mean:.2f}" if len(set(values)) == 1 else _ranged(mean, values)


def run_time(reports: Sequence[ExtrapolationReport]) -> str:
    """Return in a sentence how long the measurements took."""
    ways = [way for report in reports for split in report.splits for way in split.methods]
    networks = sum(way.seconds for way in ways if way.kind in NETWORKS) / SECONDS_AN_HOUR
    others = sum(way.seconds for way in ways if way.kind not in NETWORKS) / SECONDS_AN_HOUR
    return f"Heads and baselines took {others:.1f} hours of one core, networks {networks:.1f} hours."


def overview(reports: Sequence[ExtrapolationReport]) -> str:
    """Return one table over targets and splits: the decoupled head, the best network of each start, and the ratios."""
    heading = [
        *("property", "split", "train", "test", "discontinuous", "mean", "nearest"),
        *("decoupled head", "its RMSE", "best head here", "from scratch", "ratio", "fine-tuned", "ratio"),
    ]
    rows = []
    for report in reports:
        for split in report.splits:
            head = split.method(split.decoupled) if split.decoupled else None
            rows.append(
                [
                    report.target,
                    f"`{split.split}`",
                    *(f"{count:,}" for count in (split.n_train, split.n_test, split.n_discontinuous)),
                    *(number(_best(split, kind)[0]) for kind in (MEAN, NEAREST)),
                    head.method if head else ABSENT,
                    f"{number(head.rmse)} {interval_text(head.rmse_interval)}" if head else ABSENT,
                    number(split.method(split.best_on_test).rmse) if split.best_on_test else ABSENT,
                    *_network(split, SCRATCH),
                    *_network(split, FINE_TUNE),
                ]
            )
    return Table(heading, rows, {"property", "split", "decoupled head"}).markdown()


def _network(split: SplitReport, kind: str) -> list[str]:
    """Return the RMSE of the network with the smallest validation error of a start, and its ratio to the head."""
    rmse, name = _best(split, kind)
    if rmse is None:
        return [ABSENT, ABSENT]
    ratio = next((one for one in split.ratios if one.method == name), None)
    compared = f"{ratio.rmse:.2f} {interval_text(ratio.rmse_interval)}" if ratio else ABSENT
    return [f"{number(rmse)} ({name.partition(':')[2]})", compared]


def _best(split: SplitReport, kind: str) -> tuple[float | None, str]:
    """Return the RMSE and name of the method of a kind with the smallest validation error, or of the first one."""
    methods = [one for one in split.methods if one.kind == kind and one.rmse is not None]
    best = min(methods, key=lambda one: one.validation_mae or 0.0, default=None)
    return (best.rmse, best.method) if best else (None, "")
