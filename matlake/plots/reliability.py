"""Probabilities against how often they came true."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.plots.files import drawn_files
from matlake.plots.style import BLUE, COLUMN, GREY, axes_for, set_labels, set_note

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE: Final = (COLUMN, 3.4)
_BINS: Final = 10
_TICKS_SHOWN: Final = 500
"""Rows whose answers are drawn as strokes at the edge."""


def plot_reliability(y: Any, probabilities: Any, *, quantity: str, ax: "Axes | None" = None) -> "Axes":
    """Plot the share of yes against the probability that was predicted, with the Brier score.

    Bins hold equal numbers of materials (Niculescu-Mizil and Caruana, Proc. ICML 2005, 625, draw bins of equal width).

    Args:
        y: [n], 0 or 1, of materials that were not trained on.
        probabilities: [n], of 1.
        quantity: What is predicted, such as ``"metal"``.
        ax: Axes to draw on; those of a new figure by default.

    Returns:
        The axes.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    with axes_for(ax, SIZE) as axes:
        draw_reliability(axes, np.asarray(y, dtype=np.float64), np.asarray(probabilities, dtype=np.float64), quantity)
        return axes


def reliability_plot(
    name: str, y: NDArray[np.float64], probabilities: NDArray[np.float64], *, quantity: str
) -> dict[str, bytes]:
    """Draw the share of yes against the probability that was predicted; see ``plot_reliability``.

    Args:
        name: Of the files, without their endings.
        y: float64 [n], 0 or 1, of rows that were not trained on.
        probabilities: float64 [n].
        quantity: What is predicted, for people.

    Returns:
        The content of the PNG and the SVG file, by name.
    """
    return drawn_files(name, SIZE, lambda axes: draw_reliability(axes, y, probabilities, quantity))


def draw_reliability(axes: "Axes", y: NDArray[np.float64], probabilities: NDArray[np.float64], quantity: str) -> None:
    """Draw the share of yes against the probability that was predicted on given axes; see ``plot_reliability``."""
    parts = np.array_split(np.argsort(probabilities, kind="stable"), min(_BINS, len(y)))
    predicted, found = (np.array([values[part].mean() for part in parts]) for values in (probabilities, y))
    spread = np.sqrt(predicted * (1.0 - predicted) / [len(part) for part in parts]) if len(y) > _BINS else None
    what = quantity.removeprefix("is ")
    axes.plot((0, 1), (0, 1), color=GREY, linewidth=0.8, zorder=1, label="perfect calibration")
    axes.errorbar(
        predicted, found, spread, color=BLUE, marker="o", markersize=3.5, linewidth=1.0, elinewidth=0.7, zorder=2,
        label=f"{len(parts)} bins of equal size ± standard error" if len(y) > _BINS else "materials",
    )  # fmt: skip
    shown = np.sort(np.random.default_rng(0).permutation(len(y))[:_TICKS_SHOWN])
    edge = np.where(y[shown] > 0.0, 1.04, -0.04)
    axes.plot(probabilities[shown], edge, "|", color=GREY, alpha=0.3, markersize=4, clip_on=False)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.06, 1.06))
    axes.set_box_aspect(1)
    axes.spines[["top", "right"]].set_visible(False)
    set_labels(axes, f"Predicted probability of {what}", f"Observed frequency of {what}")
    set_note(axes, [f"Brier score {float(np.mean((probabilities - y) ** 2)):#.3g}; {len(y):,} materials"])
