"""Plots of a transfer study: error ratios of targets, layers of sources, learning curves, correlations of targets."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.encoders.layer_ref import LayerRef
from matlake.plots.files import figure_files
from matlake.plots.style import BLUE, GREY, ORANGE, labelled, new_figure
from matlake.studies.measurement import Measurement
from matlake.studies.statistics import FEWEST_COMMON, Correlations, clustered_order
from matlake.studies.transfer.cells import best_cell, identity
from matlake.studies.transfer.configurations import TL_ML
from matlake.studies.transfer.report import ALL_SC, ALL_TL, PAPER_SC, PAPER_TL, TargetReport, TransferReport
from matlake.studies.transfer.stages import CURVE, SCREEN, TEST, VALIDATION

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FINE_TICKS: Final = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8, 2.0)
_COARSE_TICKS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_FINE: Final = 2.2
"""Ratio of the largest value to the smallest up to which fine ticks do not touch."""

_SMALL: Final = 12
"""Targets up to which cells are so large that numbers fit in."""

_SIDES: Final = (
    ("best from scratch", "SC", ORANGE, "s"),
    ("best that transfers", "TL", BLUE, "o"),
)
_COLUMNS: Final = 4

Curve = list[tuple[int, float]]
"""Rows fitted to and the MAE on the test rows, ascending."""


@dataclass(frozen=True)
class LayerErrors:
    """Validation errors by source and layer, relative to the best layer of all sources.

    Attributes:
        sources: Names of the s encoders.
        layers: Names of the l layers: numbers first, ascending.
        relative: float64 [s, l], geometric mean over targets of the MAE over the smallest one of the target; NaN where
            a source has no such layer.
        targets: On which all layers were measured; only these count, for means over different targets cannot be
            compared.
    """

    sources: tuple[str, ...]
    layers: tuple[str, ...]
    relative: NDArray[np.float64]
    targets: tuple[str, ...]


def layer_errors(measurements: Iterable[Measurement]) -> LayerErrors:
    """Compare the layers of all sources by the better of the regressors that all are tried with.

    Args:
        measurements: Of any targets; those in which layers are screened are used.
    """
    best: dict[str, dict[tuple[str, str], float]] = {}
    for m in measurements:
        screened = m.stage == VALIDATION and m.round == SCREEN.number and m.method == TL_ML
        if screened and len(m.features) == 1 and m.is_measured:
            ref = LayerRef.parse(m.features[0])
            of_target = best.setdefault(m.target, {})
            place = ref.encoder, ref.layer or ""
            of_target[place] = min(of_target.get(place, math.inf), m.mae or 0.0)
    places = {place for of_target in best.values() for place in of_target}
    complete = {target: errors for target, errors in best.items() if set(errors) == places and min(errors.values()) > 0}
    sources = tuple(sorted({source for source, _ in places}))
    layers = tuple(sorted({layer for _, layer in places}, key=_natural))
    relative = np.full((len(sources), len(layers)), np.nan)
    for source, layer in places if complete else ():
        logarithms = [math.log(errors[source, layer] / min(errors.values())) for errors in complete.values()]
        relative[sources.index(source), layers.index(layer)] = math.exp(math.fsum(logarithms) / len(complete))
    return LayerErrors(sources, layers, relative, tuple(complete))


def _natural(layer: str) -> tuple[bool, int, str]:
    return (False, int(layer), "") if layer.isdecimal() else (True, 0, layer)


def draw_transfer_plots(
    measurements: Sequence[Measurement], report: TransferReport, correlations: Correlations
) -> dict[str, bytes]:
    """Draw all plots of a study for which there is something to draw.

    Args:
        measurements: What was measured.
        report: What it comes to.
        correlations: Of the targets.

    Returns:
        The content of PNG and SVG files by name.
    """
    of_targets = ratio_plot(report) | learning_curves_plot(measurements, report)
    return of_targets | layers_plot(measurements) | correlation_plot(correlations)


def ratio_plot(report: TransferReport) -> dict[str, bytes]:
    """Draw for each target the test MAE of the best that transfers over that of the best from scratch, sorted.

    Returns:
        ``transfer_ratios``; nothing where nothing can be compared.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    series = [("configurations of the study", PAPER_SC, PAPER_TL, BLUE, "o")]
    if report.goes_beyond:
        series.append(("with SC+ and TL+", ALL_SC, ALL_TL, ORANGE, "D"))
    ratios = {t.target: [t.pair(sc, tl).ratio() or np.nan for _, sc, tl, _, _ in series] for t in report.targets}
    shown = {t.target: t for t in report.targets if np.isfinite(ratios[t.target]).any()}
    if not shown:
        return {}
    order = sorted(shown, key=lambda name: next(r for r in ratios[name] if np.isfinite(r)), reverse=True)
    known = np.array([ratios[name] for name in order])
    low, high = float(np.nanmin(known)), float(np.nanmax(known))
    with new_figure(5.4, 1.1 + 0.2 * len(order)) as figure:
        axes = figure.add_subplot()
        places = np.arange(len(order))
        axes.hlines(places, 0.0, 1.0, transform=axes.get_yaxis_transform(), color="0.92", linewidth=0.6, zorder=0)
        axes.axvline(1.0, color=GREY, linewidth=0.8, linestyle="--", zorder=1)
        for column, (label, _, _, colour, marker) in enumerate(series):
            axes.plot(known[:, column], places, marker, label=label, zorder=2, color=colour,
                      markerfacecolor="none" if column else colour, markersize=5 - column)  # fmt: skip
        axes.set_xscale("log")
        axes.set_xlim(min(low, 0.97) / 1.04, max(high, 1.03) * 1.04)
        axes.xaxis.set_major_locator(FixedLocator(_FINE_TICKS if high < _FINE * low else _COARSE_TICKS))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_yticks(places, [f"{name} ({shown[name].facts.rows:,})" for name in order])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(-0.7, len(order) - 0.3)
        axes.set_xlabel("Test MAE, best TL / best SC (no unit)")
        axes.set_ylabel("Property (rows)")
        if len(series) > 1:
            figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=8)
        return figure_files(figure, "transfer_ratios")


def layers_plot(measurements: Sequence[Measurement]) -> dict[str, bytes]:
    """Draw the validation error by source and layer, relative to the best one of each target.

    Returns:
        ``transfer_layers``; nothing where on no target all layers were measured.
    """
    errors = layer_errors(measurements)
    if not errors.targets:
        return {}
    low, high = float(np.nanmin(errors.relative)), float(np.nanmax(errors.relative))
    limits = (low, max(high, low + 1e-3))
    dark = low + 0.45 * (limits[1] - low)
    with new_figure(2.6 + 0.42 * len(errors.layers), 1.7 + 0.38 * len(errors.sources)) as figure:
        axes = figure.add_subplot()
        image = _matrix(axes, errors.relative, errors.sources, errors.layers, "viridis_r", limits, "0.93")
        _numbers(axes, errors.relative, errors.relative > dark, size=7)
        axes.set_aspect("auto")
        axes.set_xlabel("Layer of the source")
        axes.set_ylabel("Source")
        targets = f"{len(errors.targets)} targets" if len(errors.targets) > 1 else errors.targets[0]
        bar = figure.colorbar(image, ax=axes, location="top", aspect=40, shrink=0.8)
        bar.set_label(f"Validation MAE / that of the best layer\n{targets} (no unit)")
        bar.outline.set_visible(False)
        return figure_files(figure, "transfer_layers")


def learning_curves_plot(measurements: Sequence[Measurement], report: TransferReport) -> dict[str, bytes]:
    """Draw errors on the test rows against the number of rows fitted to, on each target that has learning curves.

    Args:
        measurements: Those in stages ``CURVE`` and ``TEST`` are drawn; of each target one curve a side, of the trial
            with the smallest validation error among those that have a curve.
        report: What they come to.

    Returns:
        ``transfer_learning_curves``; nothing where there are no curves.
    """
    drawn = [(target, curves) for target in report.targets if (curves := _curves(measurements, target))]
    if not drawn:
        return {}
    columns = min(len(drawn), _COLUMNS)
    rows = -(-len(drawn) // columns)
    single = len(drawn) == 1
    size = (4.8, 3.6) if single else (2.3 * columns + 0.2, 1.8 * rows + 0.5)
    with new_figure(*size, font_size=9 if single else 7) as figure:
        for place, (target, curves) in enumerate(drawn, 1):
            _draw(figure.add_subplot(rows, columns, place), target, curves)
        handles = {line.get_label(): line for axes in figure.axes for line in axes.get_lines()}
        figure.legend(handles=list(handles.values()), loc="outside upper center", ncols=3, frameon=False, fontsize=7)
        figure.supxlabel("Rows fitted to", fontsize=9)
        return figure_files(figure, "transfer_learning_curves")


def correlation_plot(correlations: Correlations) -> dict[str, bytes]:
    """Draw Pearson's correlations above the diagonal and Spearman's below it, kindred targets side by side.

    Returns:
        ``target_correlations``; nothing of fewer than two targets.
    """
    count = len(correlations.names)
    if count < 2:  # noqa: PLR2004
        return {}
    order = clustered_order(correlations.spearman)
    below = np.tri(count, k=-1, dtype=bool)
    shown = np.where(below, correlations.spearman[np.ix_(order, order)], correlations.pearson[np.ix_(order, order)])
    names = [correlations.names[place] for place in order]
    side = 2.2 + max(0.17 * count, 2.0)
    with new_figure(side + 0.6, side) as figure:
        axes = figure.add_subplot()
        image = _matrix(axes, shown, names, names, "RdBu_r", (-1.0, 1.0), "0.82")
        axes.tick_params(labelsize=7 if count > _SMALL else 8)
        axes.tick_params(axis="x", rotation=90)
        if count <= _SMALL:
            off_diagonal = np.where(np.eye(count, dtype=bool), np.nan, shown)
            _numbers(axes, off_diagonal, np.abs(shown) > 0.6, size=6, absent="")  # noqa: PLR2004
        axes.set_xlabel(f"Target (grey: fewer than {FEWEST_COMMON} compositions in common)", fontsize=8)
        axes.set_ylabel("Target", fontsize=8)
        bar = figure.colorbar(image, ax=axes, shrink=0.6, aspect=30)
        bar.set_label("correlation (no unit)\nPearson above the diagonal, Spearman below", fontsize=8)
        bar.outline.set_visible(False)
        return figure_files(figure, "target_correlations")


def _matrix(
    axes: "Axes",
    values: NDArray[np.float64],
    rows: Sequence[str],
    columns: Sequence[str],
    colours: str,
    limits: tuple[float, float],
    absent: str,
) -> Any:
    """Draw a matrix of colours with names at both sides; NaN in the colour ``absent``."""
    axes.set_facecolor(absent)
    image = axes.imshow(values, cmap=colours, vmin=limits[0], vmax=limits[1])
    axes.set_xticks(range(len(columns)), list(columns))
    axes.set_yticks(range(len(rows)), list(rows))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return image


def _numbers(
    axes: "Axes", values: NDArray[np.float64], dark: NDArray[np.bool_], *, size: float, absent: str = "–"
) -> None:
    """Write numbers into the cells of a matrix, white on dark ones."""
    for (row, column), value in np.ndenumerate(values):
        text = f"{value:.2f}" if np.isfinite(value) else absent
        colour = "white" if dark[row, column] else "black"
        axes.text(column, row, text, ha="center", va="center", fontsize=size, color=colour)


def _curves(measurements: Sequence[Measurement], target: TargetReport) -> dict[str, Curve]:
    """Return the curve of each side of a target that has one."""
    points: dict[object, dict[int, float]] = {}
    for m in measurements:
        if m.target == target.target and m.stage in (CURVE, TEST) and m.mae is not None and m.is_measured:
            points.setdefault((m.method, identity(m)), {})[m.fit_rows] = m.mae
    known = [cell for cell in target.cells if len(points.get((cell.configuration, identity(cell)), ())) > 1]
    found = {}
    for side, prefix, _, _ in _SIDES:
        if cell := best_cell(known, prefix):
            found[side] = sorted(points[cell.configuration, identity(cell)].items())
    return found


def _draw(axes: "Axes", target: TargetReport, curves: dict[str, Curve]) -> None:
    from matplotlib.ticker import NullLocator

    highest = max(mae for curve in curves.values() for _, mae in curve)
    if target.base_mae is not None:
        highest = max(highest, target.base_mae)
        axes.axhline(target.base_mae, color=GREY, linewidth=0.8, linestyle="--", label="mean of the training rows")
    for side, _, colour, marker in _SIDES:
        if side in curves:
            rows, maes = zip(*curves[side], strict=True)
            axes.plot(rows, maes, color=colour, marker=marker, markersize=3.5, linewidth=1.2, label=side)
    ticks = sorted({rows for curve in curves.values() for rows, _ in curve})
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(ticks, [f"{rows:,}" for rows in ticks])
    axes.set_ylim(0.0, 1.25 * highest)
    axes.text(0.97, 0.97, target.target, transform=axes.transAxes, ha="right", va="top")
    axes.set_ylabel(labelled("MAE", target.facts.unit))
