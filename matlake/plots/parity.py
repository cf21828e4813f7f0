"""Predictions against true values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from matlake.plots.files import figure_files
from matlake.plots.style import BLUE, GREY, labelled, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

READABLE_INTERVALS: Final = 250
"""Rows up to which intervals can be distinguished."""


@dataclass(frozen=True)
class ParityExtras:
    """What a parity plot may show besides the points.

    Attributes:
        mae: Mean absolute error over all rows, where only some of them are drawn; None for that of the points.
        r2: Coefficient of determination; None to leave it out.
        rows: Number of all rows; None for that of the points.
        baselines: Mean absolute errors of baselines on the same rows, by name.
        lower: float64 [n], lower ends of intervals; None for none.
        upper: float64 [n], upper ends.
        log: Logarithmic axes, if all values are positive.
    """

    mae: float | None = None
    r2: float | None = None
    rows: int | None = None
    baselines: Mapping[str, float] = field(default_factory=dict)
    lower: NDArray[np.float64] | None = None
    upper: NDArray[np.float64] | None = None
    log: bool = False


_NOTHING: Final = ParityExtras()


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
    low = float(min(y.min(), predicted.min()))
    high = float(max(y.max(), predicted.max()))
    log = extras.log and low > 0.0
    with new_figure(4, 4) as figure:
        axes = figure.add_subplot()
        if log:
            axes.set(xscale="log", yscale="log")
            margin = (high / low) ** 0.03 if high > low else 2.0
            limits = (low / margin, high * margin)
        else:
            margin = 0.03 * (high - low) or 1.0
            limits = (low - margin, high + margin)
        axes.plot(limits, limits, color=GREY, linewidth=0.8, zorder=1)
        _draw_intervals(axes, y, predicted, extras)
        axes.scatter(y, predicted, s=9, color=BLUE, alpha=0.4, linewidths=0, zorder=2)
        axes.set(xlim=limits, ylim=limits, aspect="equal")
        axes.set_xlabel(f"true {labelled(quantity, unit)}")
        axes.set_ylabel(f"predicted {labelled(quantity, unit)}")
        first, others = _note(y, predicted, unit, extras)
        axes.text(0.03, 0.97, first, transform=axes.transAxes, va="top", fontsize=8)
        axes.text(0.97, 0.03, others, transform=axes.transAxes, va="bottom", ha="right", fontsize=6.5, color=GREY)
        return figure_files(figure, name)


def _draw_intervals(axes: "Axes", y: NDArray[np.float64], predicted: NDArray[np.float64], extras: ParityExtras) -> None:
    """Draw intervals behind the points, where there are few enough of them."""
    lower, upper = extras.lower, extras.upper
    if lower is None or upper is None or len(y) > READABLE_INTERVALS or not np.isfinite([lower, upper]).all():
        return
    ends = np.stack([np.maximum(predicted - lower, 0.0), np.maximum(upper - predicted, 0.0)])
    axes.errorbar(y, predicted, yerr=ends, fmt="none", ecolor=BLUE, elinewidth=0.5, alpha=0.25, zorder=1)


def _note(y: NDArray[np.float64], predicted: NDArray[np.float64], unit: str, extras: ParityExtras) -> tuple[str, str]:
    """Return what the errors are, and what those of baselines are."""
    mae = float(np.mean(np.abs(predicted - y))) if extras.mae is None else extras.mae
    lines = [f"MAE {mae:.3g} {unit}".rstrip()]
    if extras.r2 is not None:
        lines.append(f"R² {extras.r2:.3f}")
    lines.append(f"{extras.rows or len(y):,} test rows")
    errors = [f"{error:.3g}  {baseline}" for baseline, error in extras.baselines.items()]
    heading = f"MAE of baselines ({unit})" if unit else "MAE of baselines"
    return "\n".join(lines), "\n".join([heading, *errors] if errors else [])
