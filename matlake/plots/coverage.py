"""Prediction intervals: the share of true values that they hold against the share that they state."""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.plots.style import BLUE, COLUMN, GREY, ORANGE, axes_for, set_labels, set_note

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE: Final = (COLUMN, 3.6)
FEWEST: Final = 20
"""Materials below which a share is chance."""

_ROUNDING: Final = 1e-12
_SPREAD: Final = 1.96
"""Standard errors of a 95 % confidence band."""


def plot_coverage(levels: Any, *, level: float | None = None, inside: Any = None, ax: "Axes | None" = None) -> "Axes":
    """Plot the share of true values in their prediction interval against the share that the intervals state.

    Args:
        levels: [n], for each material the level of the narrowest interval around its prediction that holds its true
            value: 0 for a prediction without error.
        level: The level of the intervals that are used, such as 0.9: a circle marks it.
        inside: bool [n], materials inside the applicability domain; those outside get a curve of their own.
        ax: Axes to draw on; those of a new figure by default.

    Returns:
        The axes.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    within = None if inside is None else np.asarray(inside, dtype=bool)
    with axes_for(ax, SIZE) as axes:
        draw_coverage(axes, np.asarray(levels, dtype=np.float64), level, within)
        return axes


def draw_coverage(
    axes: "Axes", levels: NDArray[np.float64], level: float | None, inside: NDArray[np.bool_] | None
) -> None:
    """Draw coverage against levels on given axes; see ``plot_coverage``."""
    stated = np.linspace(0.0, 1.0, 101)
    band = _SPREAD * np.sqrt(stated * (1.0 - stated) / len(levels))
    axes.fill_between(
        100 * stated, 100 * np.maximum(0.0, stated - band), 100 * np.minimum(1.0, stated + band),
        color=GREY, alpha=0.18, linewidth=0, label=f"sampling error of {len(levels):,} materials (95 %)",
    )  # fmt: skip
    axes.plot((0, 100), (0, 100), color=GREY, linewidth=0.8, zorder=1)
    for label, rows, colour, dashes in _groups(levels, inside):
        if len(rows) < FEWEST:
            axes.plot([], [], color=colour, linestyle=dashes, label=f"{label[:-1]}: too few to draw)")
            continue
        held = np.searchsorted(np.sort(rows), stated, side="left") / len(rows)
        axes.plot(
            100 * stated, 100 * held, color=colour, linestyle=dashes, drawstyle="steps-post", zorder=2, label=label
        )
        if level is not None:
            axes.plot([100 * level], [100 * covered(rows, level)], "o", color=colour, markersize=4.5, zorder=3)
    axes.set(xlim=(0, 100), ylim=(0, 100))
    axes.set_xticks(range(0, 101, 20))
    axes.set_yticks(range(0, 101, 20))
    axes.set_box_aspect(1)
    axes.spines[["top", "right"]].set_visible(False)
    set_labels(axes, "Stated level of the intervals (%)", "True values in their interval (%)")
    set_note(axes, [] if level is None else [_held(levels, level)])


def covered(levels: NDArray[np.float64], level: float) -> float:
    """Return the share of true values that intervals of a level hold."""
    return float(np.mean(levels < level - _ROUNDING))


def _held(levels: NDArray[np.float64], level: float) -> str:
    return f"{100 * level:.0f} % intervals hold {100 * covered(levels, level):.1f} % of {len(levels):,} materials"


def _groups(
    levels: NDArray[np.float64], inside: NDArray[np.bool_] | None
) -> list[tuple[str, NDArray[np.float64], str, str]]:
    if inside is None or inside.all():
        return [(f"all ({len(levels):,})", levels, BLUE, "-")]
    within, outside = levels[inside], levels[~inside]
    return [
        (f"inside the applicability domain ({len(within):,})", within, BLUE, "-"),
        (f"outside of it ({len(outside):,})", outside, ORANGE, "--"),
    ]
