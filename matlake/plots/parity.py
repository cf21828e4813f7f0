"""Predictions against true values."""

import numpy as np
from numpy.typing import NDArray

from matlake.plots.files import figure_files
from matlake.plots.style import BLUE, GREY, labelled, new_figure


def parity_plot(
    name: str, y: NDArray[np.float64], predicted: NDArray[np.float64], *, quantity: str, unit: str
) -> dict[str, bytes]:
    """Draw predictions against true values.

    Args:
        name: Of the files, without their endings.
        y: float64 [n], true values of rows that were not trained on.
        predicted: float64 [n].
        quantity: What is predicted, for people.
        unit: Its unit; may be empty.

    Returns:
        The content of the PNG and the SVG file, by name.
    """
    low = float(min(y.min(), predicted.min()))
    high = float(max(y.max(), predicted.max()))
    margin = 0.03 * (high - low) or 1.0
    limits = (low - margin, high + margin)
    mae = float(np.mean(np.abs(predicted - y)))
    with new_figure(4, 4) as figure:
        axes = figure.add_subplot()
        axes.plot(limits, limits, color=GREY, linewidth=0.8, zorder=1)
        axes.scatter(y, predicted, s=9, color=BLUE, alpha=0.4, linewidths=0, zorder=2)
        axes.set(xlim=limits, ylim=limits, aspect="equal")
        axes.set_xlabel(f"true {labelled(quantity, unit)}")
        axes.set_ylabel(f"predicted {labelled(quantity, unit)}")
        note = f"MAE {mae:.3g} {unit}".rstrip() + f"\n{len(y):,} test rows"
        axes.text(0.04, 0.96, note, transform=axes.transAxes, va="top")
        return figure_files(figure, name)
