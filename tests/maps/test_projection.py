"""Principal components equal those of a singular value decomposition, whatever the blocks."""

from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from matlake.errors import LakeError
from matlake.maps import projection
from matlake.maps.projection import principal_axes, project
from matlake.maps.request import Projection
from matlake.store.searching.content_rows import ContentRows


class Matrix(ContentRows):
    """Rows in memory."""

    live = scale = None

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self._vectors, self.dim = vectors, vectors.shape[1]
        self.words = np.zeros((len(vectors), 2), dtype=np.uint64)

    def blocks(self) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.float32]]]:
        yield 0, self._vectors, np.einsum("ij,ij->i", self._vectors, self._vectors)

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        return self._vectors[rows]


@pytest.fixture(scope="module")
def rows() -> Matrix:
    """300 vectors of 40 numbers of different scales, three of which never change."""
    rng = np.random.default_rng(0)
    mixed = rng.standard_normal((300, 6)) @ rng.standard_normal((6, 40)) + 0.3 * rng.standard_normal((300, 40))
    vectors = (mixed * np.logspace(-3, 4, 40) + 1e3).astype(np.float32)
    vectors[:, 10:13] = 7.0
    return Matrix(vectors)


def test_axes_are_the_principal_components_of_standardised_vectors(
    rows: Matrix, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projection, "_BLOCK_BYTES", 8 * 40 * 37)  # blocks of 37
    every = np.arange(300)
    axes = principal_axes(rows, every, 2, seed=3)
    exact = rows.take(every).astype(np.float64)
    varies = exact.std(axis=0) > 1e-6 * np.abs(exact.mean(axis=0))
    standard = (exact - exact.mean(axis=0))[:, varies] / exact.std(axis=0)[varies]
    u, s, _ = np.linalg.svd(standard, full_matrices=False)
    assert axes.constant == (~varies).sum() >= 3
    assert axes.explained == pytest.approx((s**2 / (s**2).sum())[:2], rel=1e-5)
    scores = axes.place(rows, every)
    assert np.abs(scores) == pytest.approx(np.abs(u[:, :2] * s[:2]), abs=5e-3 * s[0] / np.sqrt(300))
    again = principal_axes(rows, every, 2, seed=3).place(rows, every)
    assert (scores == again).all()


def test_another_seed_gives_the_same_axes(rows: Matrix) -> None:
    first, second = (principal_axes(rows, np.arange(300), 2, seed=seed).directions for seed in (0, 1))
    assert first == pytest.approx(second, abs=1e-2 * np.abs(first).max())


def test_one_dimension_gives_a_line_and_none_an_error() -> None:
    line = Matrix(np.arange(5, dtype=np.float32)[:, None] * np.array([[1, 0]], dtype=np.float32))
    found = project(line, np.arange(5), np.empty(0, np.int64), Projection.PCA, 0)
    assert found.explained == pytest.approx((1.0, 0.0))
    assert np.diff(found.xy[:, 0]) == pytest.approx(np.full(4, np.diff(found.xy[:2, 0])[0]))
    assert (found.xy[:, 1] == 0).all()
    with pytest.raises(LakeError, match="all vectors are equal"):
        principal_axes(Matrix(np.full((5, 3), 2.5, dtype=np.float32)), np.arange(5), 2, 0)


def test_others_are_placed_on_the_axes_of_the_first(rows: Matrix) -> None:
    first, others = np.arange(200), np.arange(200, 300)
    found = project(rows, first, others, Projection.PCA, 0)
    assert found.fitted == 200
    assert found.xy[200:] == pytest.approx(principal_axes(rows, first, 2, 0).place(rows, others), rel=1e-4, abs=1e-4)
    assert found.xy[:200].mean(axis=0) == pytest.approx([0, 0], abs=1e-3)
