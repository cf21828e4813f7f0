from pathlib import Path

import numpy as np
import pytest
from matrices import matrix_of
from numpy.typing import NDArray

from matlake.errors import TrainingError
from matlake.regress.splits import density_and_clusters, parse_split
from matlake.regress.splits.density_and_clusters import CLUSTERS, find_clusters, find_radii, standardised

ALLOYS = [f"Fe{amount}Ni{200 - amount}" for amount in range(1, 200)]


@pytest.fixture(scope="module")
def islands() -> NDArray[np.float32]:
    """Ten islands of 10, 12, … 28 points in six dimensions, and one far point at the end."""
    rng = np.random.default_rng(0)
    places = rng.normal(scale=20, size=(10, 6))
    points = [rng.normal(size=(10 + 2 * island, 6)) + place for island, place in enumerate(places)]
    return np.vstack(points).astype(np.float32)


def test_clusters_are_the_islands_numbered_by_size(islands) -> None:
    found = find_clusters(islands)
    assert np.bincount(found).tolist() == [28 - 2 * island for island in range(10)]
    assert found.tolist() == np.repeat(np.arange(10)[::-1], 10 + 2 * np.arange(10)).tolist()


def test_clusters_do_not_depend_on_units_nor_on_the_seed(islands) -> None:
    assert np.array_equal(find_clusters(islands), find_clusters(islands * np.float32(1000) + 5))
    rows = matrix_of(ALLOYS[: len(islands)], x=islands)
    first, second = (parse_split("cluster:3").hold_out(rows, seed) for seed in (0, 1))
    assert np.array_equal(first.test, second.test)
    assert len({parse_split("cluster").hold_out(rows, seed).label for seed in range(8)}) > 2


def test_many_vectors_are_clustered_through_some_of_them(islands, monkeypatch) -> None:
    monkeypatch.setattr(density_and_clusters, "_MAX_FITTED", 120)
    assert np.bincount(find_clusters(islands)).tolist() == [28 - 2 * island for island in range(10)]
    radii = find_radii(islands)
    assert np.isfinite(radii).all()
    assert radii.min() > 0


def test_few_different_vectors_are_refused_with_their_number() -> None:
    rows = matrix_of(ALLOYS[:40], x=np.repeat(np.arange(5, dtype=np.float32), 8)[:, None])
    for text, message in (("cluster", "only 5 different feature vectors, too few for 10"), ("sparse", "hold only 5")):
        with pytest.raises(TrainingError, match=message):
            parse_split(text).hold_out(rows, 0)


def test_the_outskirts_are_sparse() -> None:
    x = np.random.default_rng(1).normal(size=(199, 2)).astype(np.float32)
    x[:, 1] *= 100
    held = parse_split("sparse:x").hold_out(matrix_of(ALLOYS, x=x), 0)
    distance = np.linalg.norm(x / x.std(axis=0), axis=1)
    assert len(held.test) == pytest.approx(0.15 * 199, abs=1)
    assert distance[held.test].mean() > 2 * distance[held.train].mean()


def test_a_map_of_two_features_is_their_space() -> None:
    x = np.random.default_rng(2).normal(size=(199, 2)).astype(np.float32)
    one, other = (parse_split(f"sparse:{space}").hold_out(matrix_of(ALLOYS, x=x), 0).test for space in ("map", "x"))
    # both components are scaled alike only nearly, so a row or two at the border may differ
    assert len(set(one.tolist()) ^ set(other.tolist())) <= 2


def test_the_radius_is_the_distance_to_the_tenth_other_vector_and_repeats_do_not_count() -> None:
    line = np.arange(30, dtype=np.float32)[:, None]
    radii = find_radii(line)
    assert radii[:3].tolist() == [10, 9, 8]
    assert radii[15] == 5
    repeated = find_radii(np.vstack([line, np.repeat(line[:1], 50, axis=0)]))
    assert repeated.tolist() == [*radii.tolist(), *[10.0] * 50]


def test_standardised_features_have_no_unit_and_constant_ones_no_weight() -> None:
    x = np.array([[1, 7, 1e6], [2, 7, 3e6], [3, 7, 5e6]], dtype=np.float32)
    assert np.allclose(standardised(x), [[-1.2247448, 0, -1.2247448], [0, 0, 0], [1.2247448, 0, 1.2247448]])


def test_the_number_of_clusters_is_documented() -> None:
    text = (Path(__file__).parents[3] / "docs" / "science" / "splits.md").read_text()
    assert f"K = {CLUSTERS}" in text
