"""The plots of a head: drawn when it is trained, and again from its test rows in any format."""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from matlake.errors import HeadError, PlotError
from matlake.extras import is_installed, require_extra
from matlake.plots import coverage, error_by_distance, learning_curve, reliability
from matlake.plots.coverage import draw_coverage
from matlake.plots.error_by_distance import draw_error_by_distance
from matlake.plots.files import ALL_FORMATS, FORMATS, drawn_files, format_of, save_files, write_picture
from matlake.plots.learning_curve import draw_learning_curve
from matlake.plots.parity import ParityExtras, draw_parity, size_with
from matlake.plots.reliability import draw_reliability
from matlake.plots.style import axes_for
from matlake.progress import Progress
from matlake.regress.finetuning.plots import history_plots
from matlake.regress.heads.card import HeadCard
from matlake.regress.heads.card_files import CARD_FILE, read_card
from matlake.regress.heads.storage import PLOTS, find_head
from matlake.regress.heads.tested_rows import read_rows, rows_file
from matlake.regress.heads.train_result import HeldOutRows
from matlake.regress.heads.verdict import MEAN, NEAREST, comparisons_of
from matlake.regress.targets.kinds import Kind
from matlake.regress.targets.transforms import Transform
from matlake.regress.uncertainty.applicability import FARTHEST
from matlake.store.lake import Lake

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class PlotKind(StrEnum):
    """What a plot of a head shows; also the name of its files."""

    PARITY = "parity"
    RELIABILITY = "reliability"
    ERROR_BY_DISTANCE = "error_by_distance"
    COVERAGE = "coverage"
    LEARNING_CURVE = "learning_curve"


_SIZES: Final = {
    PlotKind.RELIABILITY: reliability.SIZE,
    PlotKind.ERROR_BY_DISTANCE: error_by_distance.SIZE,
    PlotKind.COVERAGE: coverage.SIZE,
    PlotKind.LEARNING_CURVE: learning_curve.SIZE,
}


def draw_plots(card: HeadCard, test: HeldOutRows, regressor: object, progress: Progress) -> dict[str, bytes]:
    """Draw all plots of a training run: PNG and SVG files by name, and the test rows, which are all without matplotlib.

    Args:
        card: Of the head.
        test: The test rows.
        regressor: What was fitted.
        progress: Receives that plots are left out.
    """
    files = rows_file(test)
    if not is_installed("matplotlib"):
        progress.note("plots are left out: they need pip install 'matlake[plots]'")
        return files
    for kind in kinds_of(card, test):
        files |= draw_plot(kind, card, test)
    return files | history_plots(regressor)


def draw_plot(
    kind: PlotKind, card: HeadCard, test: HeldOutRows, name: str = "", formats: Iterable[str] = FORMATS
) -> dict[str, bytes]:
    """Draw one plot of a head, and return its files by name.

    Args:
        kind: Which.
        card: Of the head.
        test: Its test rows.
        name: Of the files, without their endings; by default that of the kind.
        formats: Of the files.
    """
    return drawn_files(name or kind, _size(kind, card, test), _drawing(kind, card, test), formats)


def kinds_of(card: HeadCard, test: HeldOutRows) -> list[PlotKind]:
    """Return which plots a head has."""
    yes_no = card.kind is Kind.YES_NO
    kinds = [PlotKind.RELIABILITY if yes_no else PlotKind.PARITY, PlotKind.ERROR_BY_DISTANCE]
    if card.calibration is not None and np.isfinite(test.levels).all():
        kinds.append(PlotKind.COVERAGE)
    return kinds + ([PlotKind.LEARNING_CURVE] if card.learning_curve else [])  # one point is no curve


def plot_head(lake: Lake, name: str, kind: str | None = None, ax: "Axes | None" = None) -> "Axes":
    """Draw one plot of a head.

    Args:
        lake: The lake.
        name: Name of the head.
        kind: One of ``PlotKind``; by default predictions against true values.
        ax: Axes to draw on; those of a new figure by default.

    Raises:
        HeadError: No such head; it keeps no test rows, or has no such plot.
        MissingExtraError: matplotlib is not installed.
    """
    card, test = _card_and_rows(lake, name)
    chosen = _chosen(card, test, kind)
    with axes_for(ax, _size(chosen, card, test)) as axes:
        _drawing(chosen, card, test)(axes)
        return axes


def write_plots(lake: Lake, name: str, target: Path, kind: str | None = None) -> list[Path]:
    """Write one plot of a head to a file, or all to a folder, and return the paths.

    Args:
        lake: The lake.
        name: Name of the head.
        target: A file, whose ending names the format (.svg, .pdf, .png); or a folder, for plots in all three.
        kind: One of ``PlotKind``; by default predictions against true values in a file, all in a folder.

    Raises:
        HeadError: See ``plot_head``.
        PlotError: Another extension, or it cannot be written.
        MissingExtraError: matplotlib is not installed.
    """
    require_extra("plots", "a plot")
    in_folder = target.is_dir() or not target.suffix
    ending = "" if in_folder else format_of(target)
    card, test = _card_and_rows(lake, name)
    if not in_folder:
        chosen = _chosen(card, test, kind)
        (content,) = draw_plot(chosen, card, test, formats=[ending]).values()
        return [write_picture(target, content)]
    kinds = kinds_of(card, test) if kind is None else [_chosen(card, test, kind)]
    files: dict[str, bytes] = {}
    for one in kinds:
        files |= draw_plot(one, card, test, formats=ALL_FORMATS)
    try:
        return save_files(target, files)
    except OSError as error:
        raise PlotError(f"cannot write to {target}: {error.strerror}", "check the path and the disk") from error


def _card_and_rows(lake: Lake, name: str) -> tuple[HeadCard, HeldOutRows]:
    folder = find_head(lake, name)
    return read_card(folder / CARD_FILE, name), read_rows(folder / PLOTS, name)


def _chosen(card: HeadCard, test: HeldOutRows, kind: str | None) -> PlotKind:
    known = kinds_of(card, test)
    if kind is None:
        return known[0]
    if kind not in known:
        raise HeadError(f"head {card.name} has no plot {kind!r}", f"its plots: {', '.join(known)}")
    return PlotKind(kind)


def _size(kind: PlotKind, card: HeadCard, test: HeldOutRows) -> tuple[float, float]:
    """Return the width and height of the figure of a plot, in inches."""
    return size_with(_beside(card, test)) if kind is PlotKind.PARITY else _SIZES[kind]


def _drawing(kind: PlotKind, card: HeadCard, test: HeldOutRows) -> "Callable[[Axes], None]":
    """Return what draws a plot on axes."""
    quantity, unit = card.quantity, card.unit
    what = f"the probability of {quantity.removeprefix('is ')}" if card.kind is Kind.YES_NO else quantity
    match kind:
        case PlotKind.PARITY:
            return lambda axes: draw_parity(axes, test.y, test.predicted, quantity, unit, _beside(card, test))
        case PlotKind.RELIABILITY:
            return lambda axes: draw_reliability(axes, test.y, test.predicted, quantity)
        case PlotKind.ERROR_BY_DISTANCE:
            return lambda axes: draw_error_by_distance(axes, test.scores, test.errors, what, unit)
        case PlotKind.COVERAGE:
            return lambda axes: draw_coverage(axes, test.levels, _level(card), test.scores <= FARTHEST)
    curve = {str(card.model.kind): {point.rows: point.mae for point in card.full_curve}}
    return lambda axes: draw_learning_curve(axes, curve, what, unit, _untrained(card))


def _level(card: HeadCard) -> float | None:
    """Return the level of the intervals that the head was trained with."""
    former = card.recalibration.former_interval if card.recalibration else card.interval
    return former.level if former else None


def _beside(card: HeadCard, test: HeldOutRows) -> ParityExtras:
    """Return what the parity plot shows besides the points: errors of baselines, intervals."""
    same_rows = [found for found in comparisons_of(card) if found.rows in (None, card.evaluation.n_test)]
    return ParityExtras(
        baselines={found.baseline: found.error for found in same_rows},
        lower=test.lower if card.interval else None,
        upper=test.upper if card.interval else None,
        log=card.transform is Transform.LOG,
    )


def _untrained(card: HeadCard) -> Mapping[str, float]:
    """Return the mean absolute errors of what needs no training."""
    found = card.evaluation
    nearest = {} if found.nearest_baseline is None else {NEAREST: found.nearest_baseline.mae}
    return {MEAN: found.baseline.mae} | nearest
