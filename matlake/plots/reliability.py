"""Probabilities against how often they came true."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.plots.files import figure_files
from matlake.plots.style import BLUE, GREY, new_figure

_BINS: Final = 10


def reliability_plot(
    name: str, y: NDArray[np.float64], probabilities: NDArray[np.float64], *, quantity: str
) -> dict[str, bytes]:
    """Draw the share of yes against the probability that was predicted, and how many rows had it.

    Bins hold equal numbers of rows (Niculescu-Mizil and Caruana, Proc. ICML 2005, 625, draw bins of equal width).

    Args:
        name: Of the files, without their endings.
        y: float64 [n], 0 or 1, of rows that were not trained on.
        probabilities: float64 [n].
        quantity: What is predicted, for people.

    Returns:
        The content of the PNG and the SVG file, by name.
    """
    order = np.argsort(probabilities, kind="stable")
    parts = np.array_split(order, min(_BINS, len(order)))
    predicted, found = ([float(values[part].mean()) for part in parts] for values in (probabilities, y))
    with new_figure(4, 4) as figure:
        axes = figure.add_subplot()
        axes.plot((0, 1), (0, 1), color=GREY, linewidth=0.8, zorder=1)
        axes.plot(predicted, found, color=BLUE, marker="o", markersize=4, zorder=2)
        axes.plot(probabilities, np.where(y > 0.0, 1.02, -0.02), "|", color=GREY, alpha=0.3, markersize=4)
        axes.set(xlim=(-0.03, 1.03), ylim=(-0.05, 1.05), aspect="equal")
        axes.set_xlabel(f"predicted probability of {quantity}")
        axes.set_ylabel(f"share of test rows that are {quantity}")
        brier = float(np.mean((probabilities - y) ** 2))
        note = f"Brier score {brier:.3g}\n{len(y):,} test rows"
        axes.text(0.04, 0.93, note, transform=axes.transAxes, va="top")
        return figure_files(figure, name)
