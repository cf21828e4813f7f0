"""Errors against the number of training materials."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from matlake.plots.style import COLOURS, COLUMN, GREY, MARKERS, axes_for, labelled, set_labels, set_note, set_numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE: Final = (COLUMN, 2.9)
_DASHES: Final = ("--", ":", "-.", (0, (1, 3)))
_APART: Final = 0.03
"""Natural logarithm of the distance between the points of two curves at the same number."""

Curve = Mapping[int, float | Sequence[float]]
"""Number of training materials -> mean absolute error, or those of several seeds."""


def plot_learning_curve(
    curves: Mapping[str, Curve],
    *,
    quantity: str,
    unit: str = "",
    baselines: Mapping[str, float] | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Plot errors against the number of training materials, with their spread over seeds, beside baselines.

    Args:
        curves: Label -> (number of training materials -> mean absolute error, or one for each seed). Points are means,
            bars standard deviations over the seeds.
        quantity: What is predicted, such as ``"band gap"``.
        unit: Its unit; may be empty.
        baselines: Errors that need no training, as horizontal lines, by name.
        ax: Axes to draw on; those of a new figure by default.

    Returns:
        The axes.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    with axes_for(ax, SIZE) as axes:
        draw_learning_curve(axes, curves, quantity, unit, baselines or {})
        return axes


def draw_learning_curve(
    axes: "Axes", curves: Mapping[str, Curve], quantity: str, unit: str, baselines: Mapping[str, float]
) -> None:
    """Draw errors against the number of training materials on given axes; see ``plot_learning_curve``."""
    highest, seeds = max(baselines.values(), default=0.0), 1
    shifts = np.exp(_APART * (np.arange(len(curves)) - (len(curves) - 1) / 2.0))
    for place, (label, curve) in enumerate(curves.items()):
        counts = sorted(curve)
        errors = [np.atleast_1d(np.asarray(curve[count], dtype=np.float64)) for count in counts]
        seeds = max(seeds, *(len(each) for each in errors))
        means, spreads = np.array([[each.mean(), each.std(ddof=1) if len(each) > 1 else 0.0] for each in errors]).T
        highest = max(highest, float((means + spreads).max()))
        axes.errorbar(
            np.array(counts) * shifts[place], means, spreads if spreads.any() else None, label=label,
            color=COLOURS[place % len(COLOURS)], marker=MARKERS[place % len(MARKERS)], markersize=3.5, linewidth=1.0,
            elinewidth=0.7, capsize=1.5,
        )  # fmt: skip
    for (label, error), dashes in zip(baselines.items(), _cycled(_DASHES, len(baselines)), strict=True):
        axes.axhline(error, color=GREY, linewidth=0.8, linestyle=dashes, label=label)
    _set_ticks(axes, sorted({count for curve in curves.values() for count in curve}))
    axes.set_ylim(0.0, 1.06 * highest)
    set_numbers(axes)
    axes.spines[["top", "right"]].set_visible(False)
    set_labels(axes, "Training materials", f"MAE of {labelled(quantity, unit)}")
    set_note(axes, [f"Mean ± standard deviation over {seeds} seeds"] if seeds > 1 else [])


def _cycled(values: Sequence[Any], n: int) -> list[Any]:
    return [values[place % len(values)] for place in range(n)]


def _set_ticks(axes: "Axes", counts: Sequence[int]) -> None:
    """Set a tick at each number, without letters where they would touch."""
    from matplotlib.ticker import NullLocator

    shown, last = [], 0.0
    for count in counts:
        if count > 1.4 * last:
            shown.append(count)
            last = count
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(shown, [f"{count:,}" for count in shown])
