"""Embeddings in two dimensions, coloured by a property."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from matlake.plots.files import figure_files
from matlake.plots.style import COLUMN, DENSITY, labelled, new_figure

MAP_ROWS: Final = 1500
"""Points of a map: more take minutes to lay out and hide each other."""

_COMPONENTS: Final = 50


def embedding_map(
    name: str, x: NDArray[np.float32], values: NDArray[np.float64], *, quantity: str, unit: str, seed: int = 0
) -> dict[str, bytes]:
    """Draw embeddings in two dimensions, near ones near each other, coloured by a property.

    Up to ``MAP_ROWS`` rows drawn at random are standardised, reduced to 50 principal components and laid out by t-SNE.
    Distances between clusters and the axes themselves mean nothing, so the axes carry no numbers.

    Args:
        name: Of the files, without their endings.
        x: float32 [n, d], n of at least 10.
        values: float64 [n], the property.
        quantity: What it is, for people.
        unit: Its unit; may be empty.
        seed: Of the draw and the layout.

    Returns:
        The content of the PNG and the SVG file, by name.
    """
    rows = np.sort(np.random.default_rng(seed).permutation(len(x))[:MAP_ROWS])
    layout = _lay_out(x[rows], seed)
    shown = values[rows]
    order = np.argsort(shown)  # the rare large values lie on top
    low, high = np.percentile(shown, [1, 99])
    with new_figure(COLUMN, 2.8) as figure:
        axes = figure.add_subplot()
        points = axes.scatter(
            layout[order, 0],
            layout[order, 1],
            c=shown[order],
            cmap=DENSITY,
            vmin=low,
            vmax=max(high, low + 1e-12),
            s=6,
            linewidths=0,
        )
        axes.set(xticks=[], yticks=[])
        axes.set_aspect("equal", adjustable="datalim")
        axes.set_xlabel("Map coordinate 1 (t-SNE, no unit)")
        axes.set_ylabel("Map coordinate 2 (t-SNE, no unit)")
        bar = figure.colorbar(points, ax=axes, extend="both" if shown.min() < low and shown.max() > high else "max")
        bar.set_label(_sentence(labelled(quantity, unit)))
        bar.outline.set_linewidth(0)
        return figure_files(figure, name)


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


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
