"""Plots of ``encoders.py``: errors by number of labels."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.helpers.common import save_picture
from matlake.plots.style import COLOURS, MARKERS, labelled, new_figure

Curve = Sequence[tuple[int, float, float]]
"""Labels, mean error, standard deviation over seeds."""


def draw_curves(path: Path, curves: Mapping[tuple[str, str], Mapping[str, Curve]]) -> str:
    """Draw one panel a property, one line a set of features.

    Args:
        path: Of the SVG.
        curves: (property, unit) -> label of the features -> points.

    Returns:
        Name of the file.
    """
    labels = list(dict.fromkeys(label for found in curves.values() for label in found))
    columns = (len(curves) + 1) // 2
    with new_figure(2.7 * columns, 5.6) as figure:
        for number, ((name, unit), found) in enumerate(curves.items(), start=1):
            axes = figure.add_subplot(2, columns, number)
            for label, points in found.items():
                place = labels.index(label)
                counts, means, spreads = zip(*points, strict=True)
                axes.errorbar(
                    counts, means, spreads, color=COLOURS[place % len(COLOURS)], marker=MARKERS[place % len(MARKERS)],
                    markersize=3.5, linewidth=1.0, capsize=2, label=label.replace("`", ""),
                )  # fmt: skip
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_xticks([50, 100, 200, 500, 1000], ["50", "100", "200", "500", "1,000"], minor=False)
            axes.yaxis.set_major_formatter("{x:.3g}")
            axes.yaxis.set_minor_formatter("{x:.3g}")
            axes.tick_params(axis="y", which="minor", labelsize=7)
            axes.tick_params(axis="x", which="minor", bottom=False)
            axes.set_xlabel("labels trained on")
            axes.set_ylabel(f"MAE, {labelled(name, unit)}")
        handles = {
            label: handle
            for axes in figure.axes
            for handle, label in zip(*axes.get_legend_handles_labels(), strict=False)
        }
        figure.legend(handles.values(), handles.keys(), loc="outside lower center", frameon=False, fontsize=8, ncols=2)
        return save_picture(figure, path)
