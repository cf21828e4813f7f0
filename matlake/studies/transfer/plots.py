"""Plots of an evaluation of transfer over its targets: error ratios, layers, and all that there are."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from matlake.plots.files import figure_files
from matlake.plots.style import BLUE, GREY, ORANGE, STYLE
from matlake.studies.transfer.correlation_plot import correlation_plot
from matlake.studies.transfer.curve_plot import learning_curves_plot
from matlake.studies.transfer.layers import layer_errors
from matlake.studies.transfer.measurement import Measurement
from matlake.studies.transfer.report import ALL_SC, ALL_TL, PAPER_SC, PAPER_TL, TransferReport
from matlake.studies.transfer.statistics import Correlations

_DARK: Final = 0.45
"""Part of the colour scale beyond which it is so dark that numbers on it are white."""

_FINE_TICKS: Final = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.8, 2.0)
_COARSE_TICKS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_FINE: Final = 2.2
"""Ratio of the largest value to the smallest up to which fine ticks do not touch."""


def draw_transfer_plots(
    measurements: Sequence[Measurement], report: TransferReport, correlations: Correlations | None = None
) -> dict[str, bytes]:
    """Draw all plots of an evaluation for which there is something to draw.

    Args:
        measurements: What was measured.
        report: What it comes to.
        correlations: Of the targets.

    Returns:
        The content of PNG and SVG files by name.
    """
    drawn = ratio_plot(report) | layers_plot(measurements) | learning_curves_plot(measurements, report)
    return drawn | correlation_plot(correlations) if correlations is not None else drawn


def ratio_plot(report: TransferReport) -> dict[str, bytes]:
    """Draw for each target the test MAE of the best that transfers over that of the best from scratch, sorted.

    Returns:
        ``transfer_ratios.png`` and ``.svg``; nothing where nothing can be compared.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    series = [("configurations of the study", PAPER_SC, PAPER_TL, BLUE, "o")]
    if report.goes_beyond:
        series.append(("with SC+ and TL+", ALL_SC, ALL_TL, ORANGE, "D"))
    ratios = {t.target: [t.pair(sc, tl).ratio() or np.nan for _, sc, tl, _, _ in series] for t in report.targets}
    shown = {t.target: t for t in report.targets if np.isfinite(ratios[t.target]).any()}
    if not shown:
        return {}
    order = sorted(shown, key=lambda name: next(r for r in ratios[name] if np.isfinite(r)), reverse=True)
    with rc_context(STYLE):
        figure = Figure(figsize=(5.4, 1.1 + 0.2 * len(order)), layout="constrained")
        axes = figure.add_subplot()
        places = np.arange(len(order))
        axes.hlines(places, 0.0, 1.0, transform=axes.get_yaxis_transform(), color="0.92", linewidth=0.6, zorder=0)
        axes.axvline(1.0, color=GREY, linewidth=0.8, linestyle="--", zorder=1)
        for column, (label, _, _, colour, marker) in enumerate(series):
            values = [ratios[name][column] for name in order]
            face = colour if column == 0 else "none"
            axes.plot(
                values, places, marker, color=colour, markerfacecolor=face, markersize=5 - column, label=label, zorder=2
            )
        known = np.array([ratios[name] for name in order])
        low, high = float(np.nanmin(known)), float(np.nanmax(known))
        axes.set_xscale("log")
        axes.set_xlim(min(low, 0.97) / 1.04, max(high, 1.03) * 1.04)
        axes.xaxis.set_major_locator(FixedLocator(_FINE_TICKS if high < _FINE * low else _COARSE_TICKS))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.set_yticks(places, [f"{name} ({shown[name].facts.rows:,})" for name in order])
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(-0.7, len(order) - 0.3)
        axes.set_xlabel("test MAE, best TL / best SC (no unit)")
        axes.set_ylabel("property (rows)")
        if len(series) > 1:
            figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=8)
        return figure_files(figure, "transfer_ratios")


def layers_plot(measurements: Sequence[Measurement]) -> dict[str, bytes]:
    """Draw the validation error by source and layer, relative to the best one of each target.

    Returns:
        ``transfer_layers.png`` and ``.svg``; nothing where on no target all layers were measured.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    errors = layer_errors(measurements)
    if not errors.targets:
        return {}
    low, high = float(np.nanmin(errors.relative)), float(np.nanmax(errors.relative))
    high = max(high, low + 1e-3)
    with rc_context(STYLE):
        size = 2.6 + 0.42 * len(errors.layers), 1.7 + 0.38 * len(errors.sources)
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        axes.set_facecolor("0.93")
        image = axes.imshow(errors.relative, cmap="viridis_r", vmin=low, vmax=high, aspect="auto")
        for (row, column), value in np.ndenumerate(errors.relative):
            colour = "white" if (value - low) / (high - low) > _DARK else "black"
            text = f"{value:.2f}" if np.isfinite(value) else "–"
            axes.text(column, row, text, ha="center", va="center", fontsize=7, color=colour)
        axes.set_xticks(range(len(errors.layers)), list(errors.layers))
        axes.set_yticks(range(len(errors.sources)), list(errors.sources))
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        axes.set_xlabel("layer of the source")
        axes.set_ylabel("source")
        bar = figure.colorbar(image, ax=axes, location="top", aspect=40, shrink=0.8)
        targets = f"{len(errors.targets)} targets" if len(errors.targets) > 1 else errors.targets[0]
        bar.set_label(f"validation MAE / that of the best layer, {targets} (no unit)")
        bar.outline.set_visible(False)
        return figure_files(figure, "transfer_layers")
