"""The learning curve of a pretraining run, as PNG and SVG."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from matlake.networks.training_history import EpochReport, best_epoch

CURVE_FILES: Final = ("learning_curve.png", "learning_curve.svg")
_BLUE: Final = "#0072B2"
_ORANGE: Final = "#D55E00"


def draw_learning_curve(history: Sequence[EpochReport], unit: str, folder: Path) -> list[Path]:
    """Draw the mean absolute error of each epoch on training and validation rows, and mark the best epoch.

    Args:
        history: At least one report.
        unit: Unit of the errors; ``""`` for none.
        folder: Receives the files.

    Returns:
        The PNG and the SVG.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

    epochs = [report.epoch for report in history]
    best = history[best_epoch(history) - 1]
    figure = Figure(figsize=(5.0, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    marker = "o" if len(history) == 1 else ""
    fitted = [math.nan if r.train_loss is None else r.train_loss for r in history]
    axes.plot(epochs, fitted, color=_BLUE, linestyle="--", marker=marker, label="training")
    axes.plot(epochs, [r.val_mae for r in history], color=_ORANGE, marker=marker, label="validation")
    axes.plot(
        [best.epoch],
        [best.val_mae],
        color=_ORANGE,
        marker="o",
        markersize=7,
        markerfacecolor="white",
        markeredgewidth=1.8,
        linestyle="",
        label=f"best, epoch {best.epoch}: {best.val_mae:.3g}{f' {unit}' if unit else ''}",
    )
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 3.0, 5.0)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    axes.set_xlabel("Epoch")
    axes.set_ylabel(f"Mean absolute error ({unit})" if unit else "Mean absolute error")
    axes.grid(which="major", color="0.9", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    paths = [folder / name for name in CURVE_FILES]
    with mpl.rc_context({"svg.hashsalt": "matlake"}):  # the same curve gives the same file
        figure.savefig(paths[0], dpi=200)
        figure.savefig(paths[1], metadata={"Date": None})
    return paths
