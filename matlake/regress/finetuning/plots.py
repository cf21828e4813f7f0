"""Plots of a training: losses by epoch, and how transport costs spread."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from matlake.plots.style import BLUE, GREEN, GREY, ORANGE, STYLE, save
from matlake.regress.regressors.ir_net_numpy import ResidualNetwork

if TYPE_CHECKING:
    from matlake.networks.training_history import TrainingHistory

_BINS: Final = 30
_OF_ATTACKS: Final = ("clean", "attacked")


def history_plots(regressor: object) -> dict[str, bytes]:
    """Draw how a network was trained.

    Args:
        regressor: Any; one without a history gives no plots.

    Returns:
        The content of PNG and SVG files by name.
    """
    history = regressor.history if isinstance(regressor, ResidualNetwork) else None
    if history is None or not history.epochs:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        loss_plot(Path(folder) / "training", history)
        if history.weights is not None and len(history.weights) > 1:
            weight_plot(Path(folder) / "transport_costs", history.weights)
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def loss_plot(stem: Path, history: "TrainingHistory") -> list[Path]:
    """Draw losses by epoch.

    Args:
        stem: Path of the files without their endings.
        history: Of at least one epoch.

    Returns:
        The PNG and the SVG file.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(4.8, 3.9), layout="constrained")
        axes = figure.add_subplot()
        for name, label, colour in (
            ("train_loss", "training rows, smooth-L1", BLUE),
            ("val_mae", "validation rows, absolute error", GREY),
            ("clean", "worst rows before the attack, smooth-L1", ORANGE),
            ("attacked", "worst rows after the attack, smooth-L1", GREEN),
        ):
            found = [
                (report.epoch, value)
                for report in history.epochs
                if (value := getattr(report.attack if name in _OF_ATTACKS else report, name, None)) is not None
            ]
            if found:
                axes.plot(*zip(*found, strict=True), color=colour, label=label, linewidth=1.2)
        if history.best:
            axes.axvline(history.best, color=GREY, linewidth=0.8, linestyle="--")
        axes.set_yscale("log")
        axes.set_xlabel("epoch (dashed: kept)")
        axes.set_ylabel("mean loss (standard deviations of the target)")
        figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=7)
        return save(figure, stem)


def weight_plot(stem: Path, weights: NDArray[np.float32]) -> list[Path]:
    """Draw histograms of transport costs after some rounds of adversarial learning.

    Args:
        stem: Path of the files without their endings.
        weights: float32 [rounds + 1, d].

    Returns:
        The PNG and the SVG file.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    last = len(weights) - 1
    rounds = sorted({1, (last + 1) // 2, last})
    edges = np.linspace(0.0, float(weights.max()) * 1.02, _BINS + 1).tolist()
    with rc_context(STYLE):
        figure = Figure(figsize=(4.8, 3.6), layout="constrained")
        axes = figure.add_subplot()
        for number, colour in zip(rounds, (BLUE, ORANGE, GREEN), strict=False):
            axes.hist(weights[number], edges, histtype="step", color=colour, label=f"after round {number}")
        axes.axvline(float(weights[0, 0]), color=GREY, linewidth=0.8, linestyle="--", label="at the start")
        axes.set_xlabel("transport cost w of a feature")
        axes.set_ylabel("features")
        axes.legend(frameon=False, fontsize=8)
        return save(figure, stem)
