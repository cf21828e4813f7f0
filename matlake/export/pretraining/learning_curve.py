"""The learning curve of a pretraining run, as PNG and SVG."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from matlake.networks.training_history import EpochReport, best_epoch
from matlake.plots.style import BLUE, ORANGE, STYLE, labelled, save

_STEM: Final = "learning_curve"
CURVE_FILES: Final = (f"{_STEM}.png", f"{_STEM}.svg")


def draw_learning_curve(history: Sequence[EpochReport], unit: str, folder: Path) -> list[Path]:
    """Draw the mean absolute error of each epoch on training and validation rows, and mark the best epoch.

    Args:
        history: At least one report.
        unit: Unit of the errors; ``""`` for none.
        folder: Receives the files.

    Returns:
        The PNG and the SVG.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

    epochs = [report.epoch for report in history]
    best = history[best_epoch(history) - 1]
    marker = "o" if len(history) == 1 else ""
    with rc_context(STYLE):
        figure = Figure(figsize=(5.0, 3.4), layout="constrained")
        axes = figure.add_subplot()
        fitted = np.array([report.train_loss for report in history], dtype=np.float64)
        axes.plot(epochs, fitted, color=BLUE, linestyle="--", marker=marker, label="training")
        axes.plot(epochs, [report.val_mae for report in history], color=ORANGE, marker=marker, label="validation")
        axes.plot(
            [best.epoch],
            [best.val_mae],
            color=ORANGE,
            marker="o",
            markersize=7,
            markerfacecolor="white",
            markeredgewidth=1.8,
            linestyle="",
            label=f"best, epoch {best.epoch}: {f'{best.val_mae:.3g} {unit}'.rstrip()}",
        )
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(base=10, subs=(1.0, 2.0, 3.0, 5.0)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
        axes.set_xlabel("epoch")
        axes.set_ylabel(labelled("mean absolute error", unit))
        axes.grid(which="major", color="0.9", linewidth=0.8)
        axes.legend(frameon=False)
        return save(figure, folder / _STEM)
