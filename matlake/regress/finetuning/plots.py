"""Plots of a training: losses by epoch, and how transport costs spread."""

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from matlake.plots.files import figure_files
from matlake.plots.style import BLUE, COLUMN, GREEN, GREY, ORANGE, new_figure
from matlake.regress.regressors.ir_net_numpy import ResidualNetwork

if TYPE_CHECKING:
    from matlake.networks.training_history import TrainingHistory

_BINS: Final = 30
_OF_ATTACKS: Final = ("clean", "attacked")


def history_plots(regressor: object) -> dict[str, bytes]:
    """Draw how a regressor was trained: the content of PNG and SVG files by name, none for one without a history."""
    history = regressor.history if isinstance(regressor, ResidualNetwork) else None
    if history is None or not history.epochs:
        return {}
    drawn = _losses(history)
    if history.weights is not None and len(history.weights) > 1:
        drawn |= _transport_costs(history.weights)
    return drawn


def _losses(history: "TrainingHistory") -> dict[str, bytes]:
    """Draw losses by epoch, of at least one."""
    with new_figure(COLUMN, 3.3) as figure:
        axes = figure.add_subplot()
        for loss, label, colour in (
            ("train_loss", "training rows, smooth-L1", BLUE),
            ("val_mae", "validation rows, absolute error", GREY),
            ("clean", "worst rows before the attack, smooth-L1", ORANGE),
            ("attacked", "worst rows after the attack, smooth-L1", GREEN),
        ):
            found = [
                (report.epoch, value)
                for report in history.epochs
                if (value := getattr(report.attack if loss in _OF_ATTACKS else report, loss, None)) is not None
            ]
            if found:
                axes.plot(*zip(*found, strict=True), color=colour, label=label, linewidth=1.2)
        if history.best:
            axes.axvline(history.best, color=GREY, linewidth=0.8, linestyle="--")
        axes.set_yscale("log")
        axes.set_xlabel("Epoch (dashed: kept)")
        axes.set_ylabel("Mean loss (standard deviations of the target)")
        figure.legend(loc="outside lower center", frameon=False)
        return figure_files(figure, "training")


def _transport_costs(weights: NDArray[np.float32]) -> dict[str, bytes]:
    """Draw histograms of transport costs float32 [rounds + 1, d] after some rounds of adversarial learning."""
    last = len(weights) - 1
    rounds = sorted({1, (last + 1) // 2, last})
    edges = np.linspace(0.0, float(weights.max()) * 1.02, _BINS + 1).tolist()
    with new_figure(COLUMN, 2.6) as figure:
        axes = figure.add_subplot()
        for number, colour in zip(rounds, (BLUE, ORANGE, GREEN), strict=False):
            axes.hist(weights[number], edges, histtype="step", color=colour, label=f"after round {number}")
        axes.axvline(float(weights[0, 0]), color=GREY, linewidth=0.8, linestyle="--", label="at the start")
        axes.set_xlabel("Transport cost w of a feature")
        axes.set_ylabel("Features")
        axes.legend(frameon=False)
        return figure_files(figure, "transport_costs")
