"""Errors against the distance to the training set."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.metrics import rank_correlation
from matlake.plots.density import MANY, draw_points
from matlake.plots.files import drawn_files
from matlake.plots.style import (
    BLUE,
    COLUMN,
    GREY,
    MINUS,
    ORANGE,
    axes_for,
    labelled,
    set_labels,
    set_note,
    set_numbers,
    unbroken,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE: Final = (COLUMN, 3.0)
_BINS: Final = 8
_FEWEST: Final = 4 * _BINS
"""Rows below which quartiles of an eighth say nothing."""

_SHOWN: Final = 0.995
"""Quantile of scores and errors at which the axes end: what is beyond is counted in the note."""


def plot_error_by_distance(
    scores: Any,
    errors: Any,
    *,
    quantity: str,
    unit: str = "",
    groups: Mapping[str, Any] | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """Plot absolute errors against out-of-distribution scores, with medians and quartiles of eighths of the materials.

    The dashed line is the edge of the applicability domain: 95 % of the training materials have a smaller score.

    Args:
        scores: [n], out-of-distribution scores.
        errors: [n], absolute errors, in the unit.
        quantity: What is predicted, such as ``"formation energy"``.
        unit: Its unit; may be empty.
        groups: Label -> bool [n], materials of one colour: two of them at most; default: one colour.
        ax: Axes to draw on; those of a new figure by default.

    Returns:
        The axes.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    chosen = {label: np.asarray(rows, dtype=bool) for label, rows in (groups or {}).items()}
    with axes_for(ax, SIZE) as axes:
        draw_error_by_distance(
            axes, np.asarray(scores, dtype=np.float64), np.asarray(errors, dtype=np.float64), quantity, unit, chosen
        )
        return axes


def error_by_distance_plot(
    name: str,
    scores: NDArray[np.float64],
    errors: NDArray[np.float64],
    groups: Mapping[str, NDArray[np.bool_]] | None = None,
    *,
    quantity: str,
    unit: str,
) -> dict[str, bytes]:
    """Draw absolute errors against out-of-distribution scores; see ``plot_error_by_distance``.

    Args:
        name: Of the files, without their endings.
        scores: float64 [n].
        errors: float64 [n].
        groups: Label -> bool [n], rows of one colour: two of them at most; default: one colour and no label.
        quantity: What is predicted.
        unit: Its unit; may be empty.

    Returns:
        The content of the PNG and the SVG file, by name.
    """
    return drawn_files(name, SIZE, lambda axes: draw_error_by_distance(axes, scores, errors, quantity, unit, groups))


def draw_error_by_distance(
    axes: "Axes",
    scores: NDArray[np.float64],
    errors: NDArray[np.float64],
    quantity: str,
    unit: str,
    groups: Mapping[str, NDArray[np.bool_]] | None = None,
) -> None:
    """Draw absolute errors against out-of-distribution scores on given axes; see ``plot_error_by_distance``."""
    right = 1.05 * max(1.0, float(np.quantile(scores, _SHOWN)))  # the line at 1 is in sight
    top = 1.1 * float(np.quantile(errors, _SHOWN)) + 1e-12
    if groups:
        _draw_groups(axes, scores, errors, groups)
    else:
        draw_points(axes, scores, errors, (0.0, right, 0.0, top))
    _draw_medians(axes, scores, errors)
    axes.axvline(1.0, color=GREY, linewidth=0.8, linestyle="--", label="edge of the applicability domain")
    axes.set(xlim=(0.0, right), ylim=(0.0, top))
    set_numbers(axes)
    axes.spines[["top", "right"]].set_visible(False)
    set_labels(axes, "Distance to the training set (score)", f"Absolute error of {labelled(quantity, unit)}")
    set_note(axes, _note(scores, errors, right, top))


def _draw_groups(
    axes: "Axes",
    scores: NDArray[np.float64],
    errors: NDArray[np.float64],
    groups: Mapping[str, NDArray[np.bool_]],
) -> None:
    shown = np.zeros(len(scores), dtype=bool)
    shown[np.random.default_rng(0).permutation(len(scores))[: 2 * MANY]] = True
    for (label, chosen), colour, marker in zip(groups.items(), (BLUE, ORANGE), "os", strict=False):
        rows = chosen & shown
        axes.scatter(
            scores[rows], errors[rows], s=8, color=colour, marker=marker, alpha=0.35, linewidths=0, label=label
        )


def _draw_medians(axes: "Axes", scores: NDArray[np.float64], errors: NDArray[np.float64]) -> None:
    if len(scores) < _FEWEST:
        return
    bins = np.array_split(np.argsort(scores, kind="stable"), _BINS)
    middles = [float(np.median(scores[rows])) for rows in bins]
    low, median, high = np.array([np.quantile(errors[rows], (0.25, 0.5, 0.75)) for rows in bins]).T
    axes.errorbar(
        middles, median, [median - low, high - median], color="black", marker="o", markersize=4.5, zorder=3,
        markeredgecolor="white", markeredgewidth=0.5, linewidth=1.0, elinewidth=0.7, capsize=1.5,
        label="median and quartiles of each eighth",
    )  # fmt: skip


def _note(scores: NDArray[np.float64], errors: NDArray[np.float64], right: float, top: float) -> list[str]:
    beyond = int(((scores > right) | (errors > top)).sum())
    correlation = rank_correlation(scores, errors)
    parts = [] if correlation is None else [f"Rank correlation {correlation:.2f}".replace("-", MINUS)]
    parts += [f"{len(scores):,} materials", *([f"{beyond:,} beyond the axes"] if beyond else [])]
    return [", ".join(map(unbroken, parts))]
