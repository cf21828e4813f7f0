"""From vectors to two coordinates: principal components, or UMAP on fifty of them."""

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.errors import Hint, LakeError
from matlake.extras import require_extra
from matlake.maps.request import Projection
from matlake.progress import SILENT, Progress
from matlake.store.searching.content_rows import ContentRows

UMAP_SAMPLE: Final = 20_000
"""Vectors that UMAP is fitted to at most; others are placed among them afterwards."""

_COMPONENTS: Final = 50
"""Principal components that UMAP is given: with more it takes longer and finds the same neighbours."""

_NEIGHBOURS: Final = 15
_FEWEST_FOR_UMAP: Final = 4
_OVERSAMPLING: Final = 8
"""Directions that are followed beside those that are wanted, so that these converge faster."""

_MOST_PASSES: Final = 100
_CONVERGED: Final = 1e-6
_BLOCK_BYTES: Final = 32 << 20
_FLAT: Final = 1e-6
"""A column that varies by less than this share of its size is the same number everywhere."""


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Where materials are on the map.

    Attributes:
        xy: float32 [c, 2], of the contents.
        explained: Share of the variance of the standardised vectors that the first and the second principal component
            explain, whatever the projection.
        fitted: Number of contents that the axes were made from.
        constant: Number of columns that are left out, as they are the same everywhere.
    """

    xy: NDArray[np.float32]
    explained: tuple[float, float]
    fitted: int
    constant: int


@dataclass(frozen=True, eq=False)
class Axes:
    """Principal components of standardised vectors.

    Attributes:
        mean: float64 [d], of the columns.
        directions: float64 [d, k], the components, divided by the standard deviations of the columns.
        explained: float64 [k], share of the variance, largest first.
        constant: Number of columns that are left out, as they are the same everywhere.
    """

    mean: NDArray[np.float64]
    directions: NDArray[np.float64]
    explained: NDArray[np.float64]
    constant: int

    def place(self, rows: ContentRows, contents: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the scores of some contents, float64 [c, k]."""
        blocks = [(vectors - self.mean) @ self.directions for vectors in _blocks(rows, contents)]
        return np.concatenate([np.empty((0, self.directions.shape[1])), *blocks])


def project(
    rows: ContentRows,
    fitted: NDArray[np.int64],
    others: NDArray[np.int64],
    projection: Projection,
    seed: int,
    progress: Progress = SILENT,
) -> Coordinates:
    """Give contents two coordinates; the same seed gives the same ones.

    Args:
        rows: Their vectors.
        fitted: The contents that make the axes.
        others: Contents that are placed on them.
        projection: How.
        seed: Of what is drawn at random.
        progress: Receives what is being done.

    Returns:
        The coordinates of those that make the axes, then of the others.

    Raises:
        LakeError: All vectors are equal, or too few are different for UMAP.
        MissingExtraError: UMAP is wanted, and umap-learn is not installed.
    """
    every = np.concatenate([fitted, others])
    if projection is Projection.PCA:
        axes = principal_axes(rows, fitted, 2, seed)
        xy = axes.place(rows, every)
        count = len(fitted)
    else:
        require_extra("map", "UMAP", "umap")
        if len(fitted) < _FEWEST_FOR_UMAP:
            raise LakeError(
                f"{len(fitted)} different vectors, and UMAP needs {_FEWEST_FOR_UMAP}",
                Hint("use projection='pca'", cli="use --projection pca"),
            )
        axes = principal_axes(rows, fitted, _COMPONENTS, seed)
        xy, count = _umap(axes.place(rows, every).astype(np.float32), len(fitted), seed, progress)
    share = [*axes.explained[:2].tolist(), 0.0, 0.0]
    return Coordinates(_two(xy), (share[0], share[1]), count, axes.constant)


def principal_axes(rows: ContentRows, contents: NDArray[np.int64], count: int, seed: int) -> Axes:
    """Find the first principal components of standardised vectors, block by block, by subspace iteration.

    Columns are standardised, as attributes such as melting points and fractions have units of their own. No vector is
    left out and no covariance matrix is made, so that 100,000 vectors of 7,000 numbers fit (Halko et al., SIAM Rev. 53,
    217, 2011).

    Args:
        rows: The vectors.
        contents: Which of them.
        count: Components wanted; there are fewer where the vectors have fewer dimensions.
        seed: Of the directions to start from.

    Raises:
        LakeError: All vectors are equal.
    """
    mean, deviation = _moments(rows, contents)
    varies = deviation > 0.0
    if not varies.any():
        raise LakeError("all vectors are equal: there is nothing to map", "select other materials, or another encoder")
    scale = np.divide(1.0, deviation, out=np.zeros_like(deviation), where=varies)
    active = int(varies.sum())
    wanted = min(count, active, len(contents) - 1)
    start = np.random.default_rng(seed).standard_normal((rows.dim, min(wanted + _OVERSAMPLING, active)))
    basis = np.linalg.qr(start * varies[:, None])[0]
    total, before = float(active * len(contents)), np.zeros(wanted)
    for _ in range(_MOST_PASSES):
        turned = scale[:, None] * _times(rows, contents, mean, scale[:, None] * basis)
        values, mixing = np.linalg.eigh(basis.T @ turned)
        found = values[::-1][:wanted]
        best = basis @ mixing[:, ::-1][:, :wanted]
        if np.abs(found - before).max() <= _CONVERGED * found[0] or basis.shape[1] == active:
            break
        before = found
        basis = np.linalg.qr(turned)[0]
    # a component and its opposite are alike: of the two, the one whose largest weight is positive
    best = best * np.sign(best[np.abs(best).argmax(axis=0), np.arange(wanted)])
    return Axes(mean, scale[:, None] * best, np.maximum(found, 0.0) / total, rows.dim - active)


def _moments(rows: ContentRows, contents: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of the columns, float64 [d]; 0 for columns that are the same everywhere."""
    shift = rows.take(contents[:1]).astype(np.float64)[0]  # variances do not change; digits are not lost
    total, squares = np.zeros(rows.dim), np.zeros(rows.dim)
    for block in _blocks(rows, contents):
        vectors = block - shift
        total += vectors.sum(axis=0)
        squares += np.einsum("ij,ij->j", vectors, vectors)
    offset = total / len(contents)
    deviation = np.sqrt(np.maximum(squares / len(contents) - offset**2, 0.0))
    mean = shift + offset
    return mean, np.where(deviation > _FLAT * np.abs(mean), deviation, 0.0)


def _times(
    rows: ContentRows, contents: NDArray[np.int64], mean: NDArray[np.float64], basis: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return Xᵀ X B of the centred vectors X [c, d] and a basis B [d, k]."""
    product = np.zeros_like(basis)
    for block in _blocks(rows, contents):
        vectors = block - mean
        product += vectors.T @ (vectors @ basis)
    return product


def _blocks(rows: ContentRows, contents: NDArray[np.int64]) -> Iterator[NDArray[np.float64]]:
    """Yield the vectors of contents in blocks, float64 [b, d]."""
    step = max(1, _BLOCK_BYTES // (8 * rows.dim))
    for start in range(0, len(contents), step):
        yield rows.take(contents[start : start + step]).astype(np.float64)


def _umap(scores: NDArray[np.float32], fitted: int, seed: int, progress: Progress) -> tuple[NDArray[np.float64], int]:
    """Lay out scores [c, k], the first of which make the layout, with UMAP; return [c, 2] and how many made it."""
    progress.note("importing UMAP, which compiles itself when it is first used")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of tensorflow, which its networks alone need
        import umap
    sample = np.sort(np.random.default_rng(seed).permutation(fitted)[:UMAP_SAMPLE])
    rest = np.setdiff1d(np.arange(len(scores)), sample)
    progress.note(f"UMAP lays out {len(sample):,} vectors")
    layout = np.empty((len(scores), 2))
    model: Any = umap.UMAP(
        n_neighbors=min(_NEIGHBOURS, len(sample) - 1), random_state=seed, n_jobs=1, init=_start(scores[sample])
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its dependencies' versions
        layout[sample] = model.fit_transform(scores[sample])
        if len(rest):
            progress.note(f"UMAP places {len(rest):,} more among them")
            layout[rest] = model.transform(scores[rest])
    return layout, len(sample)


def _start(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return where UMAP begins: two components, up to 10 as it likes them; its own start fails for few points."""
    two = _two(scores)
    return two * np.float32(10.0 / max(float(np.abs(two).max()), 1e-12))


def _two(xy: NDArray[Any]) -> NDArray[np.float32]:
    """Return float32 [c, 2] of [c, k]: vectors of one dimension lie on a line."""
    padded = np.zeros((len(xy), 2), dtype=np.float32)
    padded[:, : xy.shape[1]] = xy[:, :2]
    return padded
