"""Predictions against true values."""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.metrics import measure
from matlake.plots.density import draw_points
from matlake.plots.files import drawn_files
from matlake.plots.style import (
    BLUE,
    COLUMN,
    GREY,
    LARGE,
    MINUS,
    axes_for,
    labelled,
    printed,
    set_labels,
    set_note,
    set_numbers,
    unbroken,
    width_of,
    with_unit,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

READABLE_INTERVALS: Final = 250
"""Rows up to which intervals can be distinguished."""

_HEIGHT: Final = 3.5
_LINE: Final = 0.115
"""Height in inches of each line of the note about baselines, beyond the height of a figure without."""

_ROOM: Final = 2.5
"""Width in inches of axes above which there is room for lines about baselines: a panel of several has none."""

_TICKS: Final = 6
_DECADES: Final = 1.5
"""Range of logarithmic axes up to which there are ticks between powers of ten."""


@dataclass(frozen=True)
class ParityExtras:
    """What a parity plot may show besides the points.

    Attributes:
        baselines: Mean absolute errors of baselines on the same rows, by name.
        lower: float64 [n], lower ends of intervals; None for none.
        upper: float64 [n], upper ends.
        log: Logarithmic axes, if all values are positive.
    """

    baselines: Mapping[str, float] = field(default_factory=dict)
    lower: NDArray[np.float64] | None = None
    upper: NDArray[np.float64] | None = None
    log: bool = False


_NOTHING: Final = ParityExtras()


def plot_parity(
    y: Any,
    predicted: Any,
    *,
    quantity: str,
    unit: str = "",
    baselines: Mapping[str, float] | None = None,
    lower: Any = None,
    upper: Any = None,
    log: bool = False,
    ax: "Axes | None" = None,
) -> "Axes":
    """Plot predictions against true values, with MAE, RMSE and R².

    Up to 2,000 materials are points; more are counted in hexagons. Both axes have the same limits.

    Args:
        y: [n], true values of materials that were not trained on.
        predicted: [n].
        quantity: What is predicted, such as ``"formation energy"``.
        unit: Its unit, such as ``"eV/atom"``; may be empty.
        baselines: Mean absolute errors of baselines for the same materials, by name.
        lower: [n], lower ends of prediction intervals, drawn for up to 250 materials.
        upper: [n], upper ends.
        log: Logarithmic axes, if all values are positive.
        ax: Axes to draw on; those of a new figure by default.

    Returns:
        The axes.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    below, above = (None if values is None else np.asarray(values, dtype=np.float64) for values in (lower, upper))
    extras = ParityExtras(baselines or {}, below, above, log)
    with axes_for(ax, size_with(extras)) as axes:
        draw_parity(
            axes, np.asarray(y, dtype=np.float64), np.asarray(predicted, dtype=np.float64), quantity, unit, extras
        )
        return axes


def parity_plot(
    name: str,
    y: NDArray[np.float64],
    predicted: NDArray[np.float64],
    *,
    quantity: str,
    unit: str,
    extras: ParityExtras = _NOTHING,
) -> dict[str, bytes]:
    """Draw predictions against true values.

    Args:
        name: Of the files, without their endings.
        y: float64 [n], true values of rows that were not trained on.
        predicted: float64 [n].
        quantity: What is predicted, for people.
        unit: Its unit; may be empty.
        extras: What to show besides the points.

    Returns:
        The content of the PNG and the SVG file, by name.
    """
    return drawn_files(name, size_with(extras), lambda axes: draw_parity(axes, y, predicted, quantity, unit, extras))


def size_with(extras: ParityExtras) -> tuple[float, float]:
    """Return the width and height of a figure in inches: a line for each baseline above the axes."""
    return COLUMN, _HEIGHT + _LINE * (len(extras.baselines) + 1 if extras.baselines else 0)


def draw_parity(
    axes: "Axes",
    y: NDArray[np.float64],
    predicted: NDArray[np.float64],
    quantity: str,
    unit: str,
    extras: ParityExtras = _NOTHING,
) -> None:
    """Draw predictions against true values on given axes; see ``plot_parity``."""
    low = float(min(y.min(), predicted.min()))
    high = float(max(y.max(), predicted.max()))
    log = extras.log and low > 0.0
    if log:
        margin = (high / low) ** 0.04 if high > low else 2.0
        limits = (low / margin, high * margin)
        axes.set(xscale="log", yscale="log")
    else:
        margin = 0.04 * (high - low) or 1.0
        limits = (low - margin, high + margin)
    axes.plot(limits, limits, color=GREY, linewidth=0.8, zorder=1)
    _draw_intervals(axes, y, predicted, extras)
    axes.set_box_aspect(1)
    draw_points(axes, y, predicted, (*limits, *limits), log=log)
    axes.set(xlim=limits, ylim=limits)
    axes.spines[["top", "right"]].set_visible(False)
    _set_ticks(axes, limits, log=log)
    set_labels(axes, f"True {labelled(quantity, unit)}", f"Predicted {labelled(quantity, unit)}")
    set_note(axes, parity_note(y, predicted, unit, extras.baselines if width_of(axes) > _ROOM else {}))


def parity_note(
    y: NDArray[np.float64], predicted: NDArray[np.float64], unit: str, baselines: Mapping[str, float]
) -> list[str]:
    """Return the numbers of a parity plot as lines: errors, number of materials, errors of baselines."""
    found = measure(y, predicted)
    numbers = [f"MAE {with_unit(found.mae, unit)}", f"RMSE {with_unit(found.rmse, unit)}"]
    numbers += [] if found.r2 is None else [f"R² {found.r2:.3f}".replace("-", MINUS)]
    lines = [", ".join(map(unbroken, (*numbers, f"{len(y):,} materials")))]
    if baselines:
        errors = ", ".join(unbroken(f"{name} {error:#.3g}") for name, error in baselines.items())
        lines.append(f"MAE of baselines{f' ({printed(unit)})' if unit else ''}: {errors}")
    return lines


def _draw_intervals(axes: "Axes", y: NDArray[np.float64], predicted: NDArray[np.float64], extras: ParityExtras) -> None:
    """Draw intervals behind the points, where there are few enough of them."""
    lower, upper = extras.lower, extras.upper
    if lower is None or upper is None or len(y) > READABLE_INTERVALS or not np.isfinite([lower, upper]).all():
        return
    ends = np.stack([np.maximum(predicted - lower, 0.0), np.maximum(upper - predicted, 0.0)])
    axes.errorbar(y, predicted, yerr=ends, fmt="none", ecolor=BLUE, elinewidth=0.5, alpha=0.25, zorder=1)


def _set_ticks(axes: "Axes", limits: tuple[float, float], *, log: bool) -> None:
    """Set the same ticks on both axes, as plain numbers."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

    for axis in (axes.xaxis, axes.yaxis):
        if not log:
            ticks = _TICKS if max(map(abs, limits)) < LARGE else _TICKS // 2
            axis.set_major_locator(MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10]))
            continue
        narrow = limits[1] < limits[0] * 10.0**_DECADES
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if narrow else (1.0,)))
        if limits[0] > 1e-4 and limits[1] < 1e6:  # noqa: PLR2004 - beyond them powers of ten are shorter
            axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())
    if not log:
        set_numbers(axes)
        axes.xaxis.set_major_formatter(copy(axes.yaxis.get_major_formatter()))
