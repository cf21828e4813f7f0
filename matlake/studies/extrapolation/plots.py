"""Plots of an extrapolation: errors with intervals, by training rows of the rarest element, by the score."""

from collections.abc import Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Final

import numpy as np

from matlake.materials.units import quantity_of
from matlake.plots.error_by_distance import error_by_distance_plot
from matlake.plots.files import figure_files
from matlake.plots.style import BLUE, COLOURS, GREEN, MARKERS, ORANGE, labelled, new_figure
from matlake.studies.extrapolation.error_analysis import bins_of, ood_scores
from matlake.studies.extrapolation.methods import FINE_TUNE, HEAD, MEAN, NEAREST, SCRATCH
from matlake.studies.extrapolation.report import Cell, ExtrapolationReport, MethodReport, SplitReport
from matlake.studies.extrapolation.tables import count_text
from matlake.studies.rows import StudyRows

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LIGHT: Final = "#BBBBBB"
_METHOD_COLOURS: Final = {MEAN: _LIGHT, NEAREST: _LIGHT, HEAD: BLUE, SCRATCH: ORANGE, FINE_TUNE: GREEN}
_KINDS: Final = {HEAD: "head on embeddings", SCRATCH: "network from scratch", FINE_TUNE: "network fine-tuned"}
_COLUMNS: Final = 3
_LONGEST_NAME: Final = 24


def errors_plot(report: ExtrapolationReport) -> dict[str, bytes]:
    """Draw the RMSE of all methods on each split as bars with bootstrap intervals.

    Returns:
        ``extrapolation_errors``; nothing where nothing was measured.
    """
    from matplotlib.patches import Patch

    shown = [split for split in report.splits if _measured(split)]
    if not shown:
        return {}
    longest = max(len(_measured(split)) for split in shown)
    columns = min(_COLUMNS, len(shown))
    lines = -(-len(shown) // columns)
    with new_figure(3.4 * columns + 0.4, 0.4 + (0.7 + 0.19 * longest) * lines) as figure:
        for place, split in enumerate(shown, start=1):
            axes = figure.add_subplot(lines, columns, place)
            _bars(axes, split)
            axes.set_xlabel(f"{labelled('RMSE', report.unit)}\n{split.split}")
        patches = [Patch(color=_METHOD_COLOURS[kind], label=label) for kind, label in _KINDS.items()]
        figure.legend(handles=patches, loc="outside upper center", ncols=3, frameon=False, fontsize=8)
        return figure_files(figure, "extrapolation_errors")


def counts_plot(report: ExtrapolationReport) -> dict[str, bytes]:
    """Draw the MAE over all splits by the number of training rows with the rarest element of a material.

    Returns:
        ``extrapolation_elements``; nothing where nothing was measured.
    """
    found = report.pooled_shown
    if not found:
        return {}
    bins = bins_of(found)
    labels = [
        f"{count_text(*ends).removesuffix(' rows')}\n({group.rows:,})"
        for ends, group in zip(bins, found[0].in_bins(bins), strict=True)
    ]
    with new_figure(5.2, 3.6) as figure:
        axes = figure.add_subplot()
        for failures, colour, marker in zip(found, cycle(COLOURS), cycle(MARKERS), strict=False):
            maes = np.array([group.mae for group in failures.in_bins(bins)], dtype=float)
            axes.plot(maes, color=colour, marker=marker, markersize=4, linewidth=1.2, label=failures.method)
        axes.set_xticks(range(len(bins)), labels)
        axes.set_ylim(bottom=0.0)
        axes.set_xlabel("Training rows with the material's rarest element (tested rows)")
        axes.set_ylabel(f"MAE of {labelled(quantity_of(report.target), report.unit)}")
        axes.legend(frameon=False, fontsize=7)
        return figure_files(figure, "extrapolation_elements")


def scores_plot(report: ExtrapolationReport, rows: StudyRows, cells: Sequence[Cell]) -> dict[str, bytes]:
    """Draw absolute errors of the decoupled heads of all splits against out-of-distribution scores.

    Returns:
        ``extrapolation_scores``; nothing where no head was measured.
    """
    heads = {split.split: split.decoupled for split in report.splits}
    found = []
    for cell in cells:
        errors = cell.errors(rows.matrix.y)
        if errors is not None and cell.method.kind == HEAD and heads.get(cell.task.split) == cell.method.name:
            scores = ood_scores(rows, cell.task, cell.method.features)
            found.append((scores, errors, cell.task.continuity.discontinuous))
    if not found:
        return {}
    scores, errors, discontinuous = map(np.concatenate, zip(*found, strict=True))
    groups = {"continuous": ~discontinuous, "discontinuous": discontinuous}
    about = {"quantity": quantity_of(report.target), "unit": report.unit}
    return error_by_distance_plot("extrapolation_scores", scores, errors, groups, **about)


def _measured(split: SplitReport) -> list[MethodReport]:
    return [method for method in split.methods if method.rmse is not None]


def _bars(axes: "Axes", split: SplitReport) -> None:
    methods = _measured(split)[::-1]
    values = np.array([method.rmse for method in methods], dtype=float)
    ends = np.array([method.rmse_interval for method in methods], dtype=float)
    spans = np.abs(ends - values[:, None]).T
    places = np.arange(len(methods))
    colours = [_METHOD_COLOURS[method.kind] for method in methods]
    error = {"elinewidth": 0.8, "ecolor": "black"}
    axes.barh(places, values, xerr=spans, color=colours, height=0.7, error_kw=error)
    axes.set_yticks(places, [_short(method.method, split) for method in methods], fontsize=7)
    axes.set_ylim(-0.6, len(methods) - 0.4)


def _short(name: str, split: SplitReport) -> str:
    shown = name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
    return f"{shown} *" if name == split.decoupled else shown
