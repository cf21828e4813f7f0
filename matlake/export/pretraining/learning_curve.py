"""The learning curve of a pretraining run, as PNG and SVG."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from matlake.networks.training_history import EpochReport, best_epoch
from matlake.plots.files import figure_files, save_files
from matlake.plots.style import BLUE, ORANGE, labelled, new_figure

CURVE_FILES: Final = ("learning_curve.png", "learning_curve.svg")


def draw_learning_curve(history: Sequence[EpochReport], unit: str, folder: Path) -> list[Path]:
    """Draw the mean absolute errors of each epoch, and mark the best one; return the PNG and the SVG."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

    epochs = [report.epoch for report in history]
    best = history[best_epoch(history) - 1]
    fitted = [math.nan if r.train_loss is None else r.train_loss for r in history]
    with new_figure(5.0, 3.4) as figure:
        axes = figure.add_subplot()
        marker = "o" if len(history) == 1 else ""
        axes.plot(epochs, fitted, color=BLUE, linestyle="--", marker=marker, label="training")
        axes.plot(epochs, [r.val_mae for r in history], color=ORANGE, marker=marker, label="validation")
        label = f"best, epoch {best.epoch}: {best.val_mae:.3g} {unit}".rstrip()
        (ring,) = axes.plot([best.epoch], [best.val_mae], "o", color=ORANGE, label=label)
        ring.set(markersize=7, markerfacecolor="white", markeredgewidth=1.8)
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 3.0, 5.0)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        axes.set_xlabel("Epoch")
        axes.set_ylabel(labelled("Mean absolute error", unit))
        axes.grid(which="major", color="0.9", linewidth=0.8)
        axes.legend(frameon=False)
        return save_files(folder, figure_files(figure, "learning_curve"))
