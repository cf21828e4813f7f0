"""Learning curves of the best from scratch and the best that transfers, a panel a target."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from matlake.plots.files import figure_files
from matlake.plots.style import BLUE, GREY, ORANGE, STYLE, labelled
from matlake.studies.transfer.measurement import CURVE, TEST, Measurement
from matlake.studies.transfer.report import TargetReport, TransferReport
from matlake.studies.transfer.winners import (
    MORE_SCRATCH,
    MORE_TRANSFER,
    SCRATCH,
    TRANSFER,
    Cell,
    best_cell,
    identity,
    is_measured,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIDES: Final = (
    ("best from scratch", (SCRATCH, MORE_SCRATCH), ORANGE, "s"),
    ("best that transfers", (TRANSFER, MORE_TRANSFER), BLUE, "o"),
)
_COLUMNS: Final = 4


@dataclass(frozen=True)
class Curve:
    """A learning curve.

    Attributes:
        cell: What was fitted.
        points: Rows fitted to and the MAE on the test rows, ascending.
    """

    cell: Cell
    points: tuple[tuple[int, float], ...]


def learning_curves_plot(measurements: Sequence[Measurement], report: TransferReport) -> dict[str, bytes]:
    """Draw errors on the test rows against the number of rows fitted to, on each target that has learning curves.

    Args:
        measurements: Those in stages ``CURVE`` and ``TEST`` are drawn; of each target one curve a side, of the way with
            the smallest validation error among those that have a curve.
        report: What they come to.

    Returns:
        ``transfer_learning_curves.png`` and ``.svg``; nothing where there are no curves.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    drawn = [(target, curves) for target in report.targets if (curves := _curves(measurements, target))]
    if not drawn:
        return {}
    columns = min(len(drawn), _COLUMNS)
    rows = -(-len(drawn) // columns)
    single = len(drawn) == 1
    with rc_context(STYLE if single else STYLE | {"font.size": 7}):
        size = (4.8, 3.6) if single else (2.3 * columns + 0.2, 1.8 * rows + 0.5)
        figure = Figure(figsize=size, layout="constrained")
        for place, (target, curves) in enumerate(drawn, 1):
            _draw(figure.add_subplot(rows, columns, place), target, curves)
        handles = {line.get_label(): line for axes in figure.axes for line in axes.get_lines()}
        figure.legend(handles=list(handles.values()), loc="outside upper center", ncols=3, frameon=False, fontsize=7)
        figure.supxlabel("rows fitted to", fontsize=9)
        return figure_files(figure, "transfer_learning_curves")


def _curves(measurements: Sequence[Measurement], target: TargetReport) -> dict[str, Curve]:
    """Return the curve of each side of a target that has one."""
    points: dict[object, dict[int, float]] = {}
    for m in measurements:
        if m.target == target.target and m.stage in (CURVE, TEST) and m.mae is not None and is_measured(m):
            points.setdefault((m.configuration, identity(m)), {})[m.fit_rows] = m.mae
    found = {}
    for side, prefixes, _, _ in _SIDES:
        known = [cell for cell in target.cells if len(points.get((cell.configuration, identity(cell)), ())) > 1]
        cell = best_cell(known, *prefixes)
        if cell is not None:
            found[side] = Curve(cell, tuple(sorted(points[cell.configuration, identity(cell)].items())))
    return found


def _draw(axes: "Axes", target: TargetReport, curves: dict[str, Curve]) -> None:
    from matplotlib.ticker import NullLocator

    highest = max(mae for curve in curves.values() for _, mae in curve.points)
    if target.base_mae is not None:
        highest = max(highest, target.base_mae)
        axes.axhline(target.base_mae, color=GREY, linewidth=0.8, linestyle="--", label="mean of the training rows")
    for side, _, colour, marker in _SIDES:
        if side in curves:
            rows, maes = zip(*curves[side].points, strict=True)
            axes.plot(rows, maes, color=colour, marker=marker, markersize=3.5, linewidth=1.2, label=side)
    ticks = sorted({rows for curve in curves.values() for rows, _ in curve.points})
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(ticks, [f"{rows:,}" for rows in ticks])
    axes.set_ylim(0.0, 1.25 * highest)
    axes.text(0.97, 0.97, target.target, transform=axes.transAxes, ha="right", va="top")
    axes.set_ylabel(labelled("MAE", target.facts.unit))
