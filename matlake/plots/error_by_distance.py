"""Errors against the distance to the training rows."""

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.plots.files import figure_files
from matlake.plots.style import BLUE, GREY, ORANGE, labelled, new_figure

SHOWN_ROWS: Final = 5000
"""Points of a plot: more hide each other and make large files."""

_BINS: Final = 8


def error_by_distance_plot(
    name: str,
    scores: NDArray[np.float64],
    errors: NDArray[np.float64],
    groups: Mapping[str, NDArray[np.bool_]] | None = None,
    *,
    quantity: str,
    unit: str,
) -> dict[str, bytes]:
    """Draw absolute errors against out-of-distribution scores, with the median error of bins of equal size.

    Args:
        name: Of the files, without their endings.
        scores: float64 [n].
        errors: float64 [n].
        groups: Label -> bool [n], rows of one colour: two of them at most; default: one colour and no label.
        quantity: What is predicted.
        unit: Its unit; may be empty.

    Returns:
        The content of the PNG and the SVG file, by name.
    """
    shown = np.sort(np.random.default_rng(0).permutation(len(scores))[:SHOWN_ROWS])
    bins = [part for part in np.array_split(np.argsort(scores, kind="stable"), _BINS) if len(part)]
    medians = [[float(np.median(values[part])) for part in bins] for values in (scores, errors)]
    with new_figure(4.8, 3.6) as figure:
        axes = figure.add_subplot()
        axes.axvline(1.0, color=GREY, linewidth=0.8, linestyle="--")
        axes.annotate(
            "95 % of training rows", (1.0, 1.0), xycoords=("data", "axes fraction"), xytext=(-4, -2),
            textcoords="offset points", ha="right", va="top", fontsize=7, color=GREY,
        )  # fmt: skip
        every = {"": np.ones(len(scores), dtype=bool)}
        for (label, chosen), colour in zip((groups or every).items(), (BLUE, ORANGE), strict=False):
            rows = shown[chosen[shown]]
            axes.scatter(scores[rows], errors[rows], s=9, color=colour, alpha=0.35, linewidths=0, label=label)
        axes.plot(*medians, color="black", marker="o", markersize=4, label="median of an eighth of the rows")
        axes.set_xlim(0.0, 1.05 * max(1.0, float(np.quantile(scores, 0.995))))  # the line at 1 is in sight
        axes.set_ylim(0.0, float(np.quantile(errors, 0.995)) * 1.1 + 1e-12)
        axes.set_xlabel("out-of-distribution score (distance to training rows; no unit)")
        axes.set_ylabel(f"absolute error of {labelled(quantity, unit)}")
        axes.legend(frameon=False, fontsize=8, loc="upper right", bbox_to_anchor=(1.0, 0.94))
        return figure_files(figure, name)
