"""The plot of ``extrapolation.py`` over all properties: errors of networks over those of heads, by what is held out."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from benchmarks.helpers.common import save_picture
from benchmarks.helpers.extrapolation_tables import STARTS, kinds, ratios
from matlake.materials.units import quantity_of
from matlake.plots.style import COLOURS, GREY, MARKERS, STYLE
from matlake.studies.extrapolation.report import ExtrapolationReport

APART = 0.1
"""Distance of two properties' points, where that of two kinds is 1."""


def draw_ratios(path: Path, reports: Sequence[ExtrapolationReport], architecture: str) -> str:
    """Draw the ratios of one architecture's networks with their intervals, one panel a start.

    Args:
        path: Where to, an SVG file.
        reports: Of all properties.
        architecture: Whose networks.

    Returns:
        Name of the file.
    """
    shown = kinds(reports)
    properties = list(dict.fromkeys(report.target for report in reports))
    with rc_context(STYLE):
        figure = Figure(figsize=(8.5, 0.75 * len(shown) + 1.6), layout="constrained")
        panels = figure.subplots(1, len(STARTS), sharex=True, sharey=True)
        for axes, (start, words) in zip(panels, STARTS.items(), strict=True):
            for height, splits in enumerate(reversed(shown.values())):
                for report, split in splits:
                    place = properties.index(report.target)
                    for ratio in ratios(split, start, architecture):
                        low, high = ratio.rmse_interval
                        axes.errorbar(
                            [ratio.rmse], [height + APART * (len(properties) / 2 - place)],
                            xerr=[[max(0.0, ratio.rmse - low)], [max(0.0, high - ratio.rmse)]],
                            color=COLOURS[place], marker=MARKERS[place], markersize=4, linewidth=0.8, capsize=1.5,
                        )  # fmt: skip
            axes.axvline(1.0, color=GREY, linewidth=0.8, linestyle="--")
            axes.set_xscale("log")
            ticks = [0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0, 8.0]
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.minorticks_off()
            axes.set_yticks(range(len(shown)), list(reversed(shown)))
            axes.set_xlabel(f"RMSE of {architecture} {words} / head's")
        for place, target in enumerate(properties):
            panels[0].plot([], [], color=COLOURS[place], marker=MARKERS[place], linestyle="", label=quantity_of(target))
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False)
        return save_picture(figure, path)
