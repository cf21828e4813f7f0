"""Many points: one by one where they are few, counted in hexagons where they would hide each other."""

from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray

from matlake.plots.style import BLUE, DENSITY, height_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MANY: Final = 2000
"""Points above which they are counted in hexagons: a file stays small, and shows where most of them are."""

_ACROSS: Final = 50
"""Hexagons side by side."""


def draw_points(
    axes: "Axes",
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    limits: tuple[float, float, float, float],
    *,
    log: bool = False,
    label: str = "",
) -> None:
    """Draw points, or how many of them fall into each hexagon, with a bar of colours beside the axes.

    Args:
        axes: With their scales and their shape set.
        x: float64 [n].
        y: float64 [n].
        limits: Ends of both axes, (left, right, bottom, top); points outside are not counted.
        log: Both axes are logarithmic.
        label: For the legend, where points are drawn one by one.
    """
    if len(x) <= MANY:
        size, opacity = (14, 0.7) if len(x) <= 100 else (9, 0.4)  # noqa: PLR2004 - a few are to be seen
        axes.scatter(x, y, s=size, color=BLUE, alpha=opacity, linewidths=0, zorder=2, label=label or None)
        return
    left, right, bottom, top = limits
    within = (x >= left) & (x <= right) & (y >= bottom) & (y <= top)
    scale: Literal["log", "linear"] = "log" if log else "linear"
    down = round(_ACROSS * height_of(axes) / 3.0**0.5)
    drawn = axes.hexbin(
        x[within], y[within], gridsize=(_ACROSS, down), bins="log", mincnt=1, cmap=DENSITY, linewidths=0.1, zorder=2,
        xscale=scale, yscale=scale, extent=tuple(np.log10(limits)) if log else limits,
    )  # fmt: skip
    bar = axes.figure.colorbar(drawn, cax=axes.inset_axes((1.03, 0.0, 0.035, 1.0)))
    bar.set_label("Materials per hexagon")
    bar.outline.set_linewidth(0)
