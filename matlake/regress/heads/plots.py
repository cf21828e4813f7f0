"""The plots that are kept with a head: parity, error against distance to the training rows, learning curve."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.extras import is_installed
from matlake.materials.units import quantity_of
from matlake.plots.files import figure_files
from matlake.plots.parity import parity_plot
from matlake.plots.style import BLUE, GREY, ORANGE, labelled, new_figure
from matlake.progress import Progress
from matlake.regress.finetuning.plots import history_plots
from matlake.regress.heads.card import CurvePoint, HeadCard
from matlake.regress.heads.train_result import HeldOutRows

SHOWN_ROWS: Final = 5000
"""Points of a plot: more hide each other and make large files."""

_BINS: Final = 8


def draw_plots(card: HeadCard, test: HeldOutRows, regressor: object, progress: Progress) -> dict[str, bytes]:
    """Draw all plots of a training run: the content of PNG and SVG files by name, none without matplotlib.

    Args:
        card: Of the head.
        test: The test rows.
        regressor: What was fitted.
        progress: Hears that plots are left out.
    """
    if not is_installed("matplotlib"):
        progress.note("plots are left out: they need pip install 'matlake[plots]'")
        return {}
    label = labelled(quantity_of(card.target), card.unit)
    shown = np.sort(np.random.default_rng(0).permutation(len(test.y))[:SHOWN_ROWS])
    return (
        _error_by_distance(test.scores[shown], test.errors[shown], label)
        | _learning_curve(card.full_curve, card.evaluation.baseline.mae, label)
        | parity_plot("parity", test.y[shown], test.predicted[shown], quantity=quantity_of(card.target), unit=card.unit)
        | history_plots(regressor)
    )


def _error_by_distance(scores: NDArray[np.float64], errors: NDArray[np.float64], label: str) -> dict[str, bytes]:
    """Draw absolute errors against out-of-distribution scores, with the median error of bins of equal size."""
    bins = [part for part in np.array_split(np.argsort(scores, kind="stable"), _BINS) if len(part)]
    centres = [float(np.median(scores[part])) for part in bins]
    with new_figure(4.8, 3.6) as figure:
        axes = figure.add_subplot()
        axes.axvline(1.0, color=GREY, linewidth=0.8, linestyle="--")
        axes.annotate(
            "95 % of training rows", (1.0, 1.0), xycoords=("data", "axes fraction"), xytext=(-4, -2),
            textcoords="offset points", ha="right", va="top", fontsize=7, color=GREY,
        )  # fmt: skip
        axes.scatter(scores, errors, s=9, color=BLUE, alpha=0.35, linewidths=0)
        medians = [float(np.median(errors[part])) for part in bins]
        axes.plot(centres, medians, color=ORANGE, marker="o", markersize=4, label="median of an eighth of the rows")
        axes.set_xlim(left=0.0)
        axes.set_ylim(0.0, max(float(np.quantile(errors, 0.995)) * 1.1, 1e-12))
        axes.set_xlabel("out-of-distribution score (distance to training rows)")
        axes.set_ylabel(f"absolute error of {label}")
        axes.legend(frameon=False, fontsize=8, loc="upper right", bbox_to_anchor=(1.0, 0.94))
        return figure_files(figure, "error_by_distance")


def _learning_curve(curve: Sequence[CurvePoint], baseline_mae: float, label: str) -> dict[str, bytes]:
    """Draw the error on the test rows against the number of training rows, beside that of the mean."""
    from matplotlib.ticker import NullFormatter

    rows = [point.rows for point in curve]
    with new_figure(4.8, 3.6) as figure:
        axes = figure.add_subplot()
        axes.axhline(baseline_mae, color=GREY, linewidth=0.8, linestyle="--")
        axes.annotate("mean of the training rows", (0.02, baseline_mae), xycoords=("axes fraction", "data"),
                      xytext=(0, -3), textcoords="offset points", va="top", fontsize=7, color=GREY)  # fmt: skip
        axes.plot(rows, [point.mae for point in curve], color=BLUE, marker="o", markersize=4)
        axes.set_xscale("log")
        axes.set_xticks(rows, [f"{count:,.0f}" for count in rows])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(0.0, 1.08 * max(baseline_mae, *(point.mae for point in curve)))
        axes.set_xlabel("training rows")
        axes.set_ylabel(f"MAE of {label}")
        return figure_files(figure, "learning_curve")
