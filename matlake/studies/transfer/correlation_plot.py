"""How targets correlate, as a matrix with kindred targets side by side."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.plots.files import figure_files
from matlake.plots.style import STYLE
from matlake.studies.transfer.statistics import FEWEST_COMMON, Correlations

_SMALL: Final = 12
"""Targets up to which cells are so large that numbers fit in."""


def correlation_plot(correlations: Correlations) -> dict[str, bytes]:
    """Draw Pearson's correlations above the diagonal and Spearman's below it.

    Returns:
        ``target_correlations.png`` and ``.svg``; nothing of fewer than two targets.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    count = len(correlations.names)
    if count < 2:  # noqa: PLR2004
        return {}
    order = clustered_order(correlations.spearman)
    sorted_by = np.ix_(order, order)
    below = np.tri(count, k=-1, dtype=bool)
    shown = np.where(below, correlations.spearman[sorted_by], correlations.pearson[sorted_by])
    names = [correlations.names[place] for place in order]
    with rc_context(STYLE):
        side = 2.2 + max(0.17 * count, 2.0)
        figure = Figure(figsize=(side + 0.6, side), layout="constrained")
        axes = figure.add_subplot()
        axes.set_facecolor("0.82")
        image = axes.imshow(shown, cmap="RdBu_r", vmin=-1.0, vmax=1.0)
        size = 7 if count > _SMALL else 8
        axes.set_xticks(range(count), names, rotation=90, fontsize=size)
        axes.set_yticks(range(count), names, fontsize=size)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        for (row, column), value in np.ndenumerate(shown):
            if count <= _SMALL and row != column and np.isfinite(value):
                colour = "white" if abs(value) > 0.6 else "black"  # noqa: PLR2004
                axes.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=6, color=colour)
        axes.set_xlabel(f"target (grey: fewer than {FEWEST_COMMON} compositions in common)", fontsize=8)
        axes.set_ylabel("target", fontsize=8)
        bar = figure.colorbar(image, ax=axes, shrink=0.6, aspect=30)
        bar.set_label("correlation (no unit)\nPearson above the diagonal, Spearman below", fontsize=8)
        bar.outline.set_visible(False)
        return figure_files(figure, "target_correlations")


def clustered_order(correlation: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return an order in which what correlates stands side by side, whatever the sign.

    Leaves of an average-linkage clustering by 1 - |correlation|, turned so that neighbours are as near as can be
    (Bar-Joseph et al., Bioinformatics 17, S22, 2001). What is unknown counts as unrelated.

    Args:
        correlation: float64 [t, t], symmetric, t of at least 2.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage

    distances = 1.0 - np.abs(np.nan_to_num(correlation, nan=0.0))
    condensed = distances[np.triu_indices(len(distances), k=1)]
    order: NDArray[np.intp] = leaves_list(linkage(condensed, "average", optimal_ordering=True)).astype(np.intp)
    return order
