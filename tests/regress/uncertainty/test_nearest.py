import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matlake.regress.uncertainty import nearest
from matlake.regress.uncertainty.nearest import load_kernel, nearest_rows, smallest_of_few


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.integers(1, 40), st.integers(1, 8), st.integers(1, 6))
def test_the_nearest_are_those_of_all_distances(seed: int, n: int, m: int, k: int, p: int) -> None:
    generator = np.random.default_rng(seed)
    points = generator.normal(size=(n, p)).astype(np.float32)
    known = generator.normal(size=(m, p)).astype(np.float32)
    distances, rows = nearest_rows(points, known, k)
    every = np.linalg.norm(points[:, None] - known[None], axis=2)
    found = min(k, m)
    assert distances[:, :found] == pytest.approx(np.sort(every, axis=1)[:, :found], abs=1e-5)
    assert np.take_along_axis(every, rows[:, :found].astype(int), axis=1) == pytest.approx(
        distances[:, :found], abs=1e-5
    )
    assert np.isinf(distances[:, found:]).all()


def test_a_point_among_the_known_is_at_no_distance_from_itself() -> None:
    known = np.random.default_rng(0).normal(scale=100.0, size=(500, 32)).astype(np.float32)
    distances, rows = nearest_rows(known, known, 2)
    assert (distances[:, 0] == 0.0).all()
    assert (rows[:, 0] == np.arange(500)).all()


def test_members_of_the_own_group_do_not_count() -> None:
    known = np.array([[0.0], [0.1], [5.0]], dtype=np.float32)
    groups = np.array([7, 7, 8])
    distances, rows = nearest_rows(known, known, 2, (groups, groups))
    assert rows[:, 0].tolist() == [2, 2, 1]
    assert np.isinf(distances[:2, 1]).all()
    assert np.isfinite(distances[2]).all()


def test_memory_is_bounded_whatever_the_number_of_points(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(1)
    points, known = (generator.normal(size=(size, 4)).astype(np.float32) for size in (50, 20))
    whole = nearest_rows(points, known, 3)
    monkeypatch.setattr(nearest, "_HELD", 60)  # three points at a time
    pieces = nearest_rows(points, known, 3)
    assert (whole[1] == pieces[1]).all()
    assert whole[0] == pytest.approx(pieces[0], rel=1e-6)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 40), st.integers(1, 8))
def test_few_points_get_what_the_compiled_kernel_finds(seed: int, n: int, m: int, k: int) -> None:
    """Of values with many ties, some of them infinite or not a number."""
    generator = np.random.default_rng(seed)
    values = generator.choice(np.array([0.0, 1.0, 2.0, 3.0, np.inf, np.nan], np.float32), size=(n, m))
    found = []
    for smallest in (smallest_of_few, load_kernel()):
        columns, known = np.zeros((n, k), np.int32), np.zeros((n, k), np.bool_)
        smallest(values, columns, known)
        found.append((columns * known, known))
    np.testing.assert_array_equal(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])
