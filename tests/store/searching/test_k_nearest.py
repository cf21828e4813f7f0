"""The nearest rows are those of distances in float64, whatever the blocks in which they come."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matlake.store.searching import k_nearest
from matlake.store.searching.k_nearest import KNearest, squares_of, within


def distances_between(points: np.ndarray, known: np.ndarray) -> np.ndarray:
    difference = known.astype(np.float64)[None] - points.astype(np.float64)[:, None]
    return np.sqrt(np.einsum("qij,qij->qi", difference, difference))


def expected(points: np.ndarray, known: np.ndarray, k: int, counted: np.ndarray) -> list[list[int]]:
    """Rows as near as the k-th of those that count, nearest first, equally near ones in their order."""
    found = []
    for distances in distances_between(points, known):
        distances[~counted] = np.inf
        order = np.argsort(distances, kind="stable")
        bound = distances[order[min(k, counted.sum()) - 1]] if counted.any() else -1.0
        found.append([row for row in order.tolist() if distances[row] <= bound and counted[row]])
    return found


def in_blocks(points: np.ndarray, known: np.ndarray, k: int, size: int, counted: np.ndarray) -> list[list[int]]:
    nearest = KNearest(points, k)
    for start in range(0, len(known), size):
        block, some = known[start : start + size], counted[start : start + size]
        rows = np.arange(start, start + len(block))
        if nearest.is_full:
            nearest.add(rows, block, squares_of(block), keep=lambda places, some=some: some[places])
        else:
            nearest.add(rows, block, squares_of(block), some)
    return [rows.tolist() for rows, _ in nearest.result()]


@settings(deadline=None, max_examples=80)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 60),
    st.integers(1, 8),
    st.integers(1, 5),
    st.integers(1, 60),
    st.sampled_from([0.0, 1.0, 1000.0, 1e6]),
)
def test_they_are_those_of_an_exhaustive_search(seed, n, k, q, size, offset) -> None:
    generator = np.random.default_rng(seed)
    # few values: many are equal, and many are equally far; far from the origin float32 products cannot tell them apart
    known = (offset + generator.integers(0, 3, size=(n, 4))).astype(np.float32)
    points = (offset + generator.integers(0, 3, size=(q, 4))).astype(np.float32)
    counted = generator.random(n) < 0.7
    assert in_blocks(points, known, k, size, counted) == expected(points, known, k, counted)


def test_vectors_far_from_the_origin_and_near_each_other_are_told_apart() -> None:
    known = (1000 + np.random.default_rng(0).random((500, 100)) * 1e-3).astype(np.float32)
    everything = np.ones(500, dtype=bool)
    assert in_blocks(known[:5], known, 5, 64, everything) == expected(known[:5], known, 5, everything)


@pytest.mark.parametrize("size", [1e-30, 1e25, 1e30])
def test_numbers_whose_squares_float32_does_not_hold_are_measured_all_the_same(size: float) -> None:
    known = (np.random.default_rng(1).normal(size=(50, 3)) * size).astype(np.float32)
    everything = np.ones(50, dtype=bool)
    with np.errstate(over="ignore"):
        assert in_blocks(known[:3], known, 4, 16, everything) == expected(known[:3], known, 4, everything)


def test_few_distances_are_held_at_once(monkeypatch) -> None:
    generator = np.random.default_rng(2)
    known, points = (generator.normal(size=(size, 8)).astype(np.float32) for size in (300, 40))
    everything = np.ones(300, dtype=bool)
    monkeypatch.setattr(k_nearest, "_HELD", 500)
    monkeypatch.setattr(k_nearest, "_MEASURED", 50)
    assert in_blocks(points, known, 7, 100, everything) == expected(points, known, 7, everything)


def test_pairs_within_a_distance_are_those_of_all_distances() -> None:
    generator = np.random.default_rng(3)
    known, points = ((100 + generator.integers(0, 4, size=(size, 3))).astype(np.float32) for size in (200, 50))
    which, rows = within(points, known, squares_of(known), np.sqrt(2.0))
    assert list(zip(which.tolist(), rows.tolist(), strict=True)) == [
        tuple(pair) for pair in np.argwhere(distances_between(points, known) <= np.sqrt(2.0)).tolist()
    ]
