"""Plots of a head and of an embedding, as PNG and SVG."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MAP_ROWS: Final = 1500
"""Points of a map: more take minutes to lay out and hide each other."""

_DPI: Final = 200
BLUE: Final = "#0072B2"  # these, and the others of ``COLOURS``, are Okabe and Ito's palette
ORANGE: Final = "#D55E00"
GREEN: Final = "#009E73"
COLOURS: Final = (BLUE, ORANGE, GREEN, "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS: Final = "osD^vPX"
GREY: Final = "#666666"
_COLOUR_MAP: Final = "viridis"
STYLE: Final[dict[Any, Any]] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "none",
}
_COMPONENTS: Final = 50


def parity_plot(
    stem: Path, y: NDArray[np.float64], predicted: NDArray[np.float64], *, quantity: str, unit: str
) -> list[Path]:
    """Draw predictions against true values.

    Args:
        stem: Path of the files without their endings.
        y: float64 [n], true values of rows that were not trained on.
        predicted: float64 [n].
        quantity: What is predicted, for people.
        unit: Its unit; may be empty.

    Returns:
        The PNG and the SVG file.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    low = float(min(y.min(), predicted.min()))
    high = float(max(y.max(), predicted.max()))
    margin = 0.03 * (high - low) or 1.0
    limits = (low - margin, high + margin)
    mae = float(np.mean(np.abs(predicted - y)))
    with rc_context(STYLE):
        figure = Figure(figsize=(4, 4), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(limits, limits, color=GREY, linewidth=0.8, zorder=1)
        axes.scatter(y, predicted, s=9, color=BLUE, alpha=0.4, linewidths=0, zorder=2)
        axes.set(xlim=limits, ylim=limits, aspect="equal")
        axes.set_xlabel(f"true {labelled(quantity, unit)}")
        axes.set_ylabel(f"predicted {labelled(quantity, unit)}")
        note = f"MAE {mae:.3g} {unit}".rstrip() + f"\n{len(y):,} test rows"
        axes.text(0.04, 0.96, note, transform=axes.transAxes, va="top")
        return save(figure, stem)


def embedding_map(
    stem: Path, x: NDArray[np.float32], values: NDArray[np.float64], *, quantity: str, unit: str, seed: int = 0
) -> list[Path]:
    """Draw embeddings in two dimensions, near ones near each other, coloured by a property.

    Up to ``MAP_ROWS`` rows drawn at random are standardised, reduced to 50 principal components and laid out by t-SNE.
    Distances between clusters and the axes themselves mean nothing, so the axes carry no numbers.

    Args:
        stem: Path of the files without their endings.
        x: float32 [n, d], n of at least 10.
        values: float64 [n], the property.
        quantity: What it is, for people.
        unit: Its unit; may be empty.
        seed: Of the draw and the layout.

    Returns:
        The PNG and the SVG file.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    rows = np.sort(np.random.default_rng(seed).permutation(len(x))[:MAP_ROWS])
    layout = _lay_out(x[rows], seed)
    shown = values[rows]
    order = np.argsort(shown)  # the rare large values lie on top
    low, high = np.percentile(shown, [1, 99])
    with rc_context(STYLE):
        figure = Figure(figsize=(4.8, 4), layout="constrained")
        axes = figure.add_subplot()
        points = axes.scatter(
            layout[order, 0],
            layout[order, 1],
            c=shown[order],
            cmap=_COLOUR_MAP,
            vmin=low,
            vmax=max(high, low + 1e-12),
            s=9,
            linewidths=0,
        )
        axes.set(xticks=[], yticks=[])
        axes.set_aspect("equal", adjustable="datalim")
        axes.set_xlabel("map coordinate 1 (t-SNE, no unit)")
        axes.set_ylabel("map coordinate 2 (t-SNE, no unit)")
        bar = figure.colorbar(points, ax=axes, extend="both" if shown.min() < low and shown.max() > high else "max")
        bar.set_label(labelled(quantity, unit))
        return save(figure, stem)


def _lay_out(x: NDArray[np.float32], seed: int) -> NDArray[np.float64]:
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    standard = StandardScaler().fit_transform(x)
    components = min(_COMPONENTS, *standard.shape)
    perplexity = min(30.0, (len(x) - 1) / 3)
    with threadpool_limits(1):  # threads that wait for each other take six times as long on a busy machine
        reduced = PCA(components, svd_solver="randomized", random_state=seed).fit_transform(standard)
        layout = TSNE(2, perplexity=perplexity, init="pca", max_iter=600, random_state=seed).fit_transform(reduced)
    return np.asarray(layout, dtype=np.float64)


def labelled(quantity: str, unit: str) -> str:
    """Return an axis label: the quantity with its unit, where it has one."""
    return f"{quantity} ({unit})" if unit else quantity


def save(figure: "Figure", stem: Path) -> list[Path]:
    """Write a figure as PNG and SVG."""
    paths = [stem.with_name(f"{stem.name}.{ending}") for ending in ("png", "svg")]
    for path in paths:
        figure.savefig(path, dpi=_DPI)
    return paths
