"""The plots that are kept with a head: parity, error against distance to the training rows, learning curve."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from matlake.extras import is_installed
from matlake.plots.error_by_distance import SHOWN_ROWS, error_by_distance_plot
from matlake.plots.files import figure_files
from matlake.plots.parity import ParityExtras, parity_plot
from matlake.plots.reliability import reliability_plot
from matlake.plots.style import BLUE, GREY, labelled, new_figure
from matlake.progress import Progress
from matlake.regress.finetuning.plots import history_plots
from matlake.regress.heads.card import HeadCard
from matlake.regress.heads.train_result import HeldOutRows
from matlake.regress.heads.verdict import comparisons_of
from matlake.regress.targets.kinds import Kind
from matlake.regress.targets.transforms import Transform


def draw_plots(card: HeadCard, test: HeldOutRows, regressor: object, progress: Progress) -> dict[str, bytes]:
    """Draw all plots of a training run: the content of PNG and SVG files by name, none without matplotlib.

    Args:
        card: Of the head.
        test: The test rows.
        regressor: What was fitted.
        progress: Hears that plots are left out.
    """
    if not is_installed("matplotlib"):
        progress.note("plots are left out: they need pip install 'matlake[plots]'")
        return {}
    about: dict[str, Any] = {"quantity": card.quantity, "unit": card.unit}
    shown = np.sort(np.random.default_rng(0).permutation(len(test.y))[:SHOWN_ROWS])
    return (
        error_by_distance_plot("error_by_distance", test.scores, test.errors, **about)
        | _learning_curve(card, labelled(**about))
        | _predicted_against_true(card, test, shown, about)
        | history_plots(regressor)
    )


def _predicted_against_true(
    card: HeadCard, test: HeldOutRows, shown: NDArray[np.intp], about: dict[str, Any]
) -> dict[str, bytes]:
    if card.kind is Kind.YES_NO:
        return reliability_plot("reliability", test.y, test.predicted, quantity=about["quantity"])
    extras = _beside(card, test, shown)
    return parity_plot("parity", test.y[shown], test.predicted[shown], extras=extras, **about)


def _beside(card: HeadCard, test: HeldOutRows, shown: NDArray[np.intp]) -> ParityExtras:
    """Return what the parity plot shows besides the points: errors of the head and of baselines, intervals."""
    metrics, numbers = card.evaluation.metrics, card.kind is Kind.NUMBER
    same_rows = [found for found in comparisons_of(card) if found.rows in (None, card.evaluation.n_test)]
    return ParityExtras(
        mae=metrics.mae,
        r2=metrics.r2,
        rows=card.evaluation.n_test,
        baselines={found.baseline: found.error for found in same_rows} if numbers else {},
        lower=test.lower[shown] if card.interval else None,
        upper=test.upper[shown] if card.interval else None,
        log=card.transform is Transform.LOG,
    )


def _learning_curve(card: HeadCard, label: str) -> dict[str, bytes]:
    """Draw the error on the test rows against the number of training rows, beside that of the mean."""
    if not card.learning_curve:
        return {}  # one point is none
    from matplotlib.ticker import NullFormatter

    curve, baseline_mae = card.full_curve, card.evaluation.baseline.mae
    rows = [point.rows for point in curve]
    with new_figure(4.8, 3.6) as figure:
        axes = figure.add_subplot()
        axes.axhline(baseline_mae, color=GREY, linewidth=0.8, linestyle="--")
        axes.annotate("mean of the training rows", (0.02, baseline_mae), xycoords=("axes fraction", "data"),
                      xytext=(0, -3), textcoords="offset points", va="top", fontsize=7, color=GREY)  # fmt: skip
        axes.plot(rows, [point.mae for point in curve], color=BLUE, marker="o", markersize=4)
        axes.set_xscale("log")
        axes.set_xticks(rows, [f"{count:,.0f}" for count in rows])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_ylim(0.0, 1.08 * max(baseline_mae, *(point.mae for point in curve)))
        axes.set_xlabel("training rows")
        axes.set_ylabel(f"MAE of {label}")
        return figure_files(figure, "learning_curve")
