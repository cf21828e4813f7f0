import numpy as np
import pytest
from numpy.typing import NDArray

from matlake.regress.regressors.adversarial.environments import cut_environments

Vectors = tuple[NDArray[np.float32], NDArray[np.float64]]


@pytest.mark.parametrize("cut", ["clusters", "random"])
def test_rows_are_cut_into_parts_that_one_seed_repeats(standard: Vectors, cut: str) -> None:
    x = standard[0]
    found = cut_environments(x, 5, cut, seed=0)
    assert sorted(set(found.tolist())) == [0, 1, 2, 3, 4]
    assert np.array_equal(found, cut_environments(x, 5, cut, seed=0))


def test_clusters_differ_in_their_features_and_random_parts_hardly(standard: Vectors) -> None:
    x = standard[0]

    def between(cut: str) -> float:
        parts = cut_environments(x, 5, cut, seed=0)
        means = np.array([x[parts == part].mean(axis=0) for part in range(5)])
        return float(means.var(axis=0).mean())

    assert between("clusters") > 5.0 * between("random")


@pytest.mark.parametrize("cut", ["clusters", "random"])
def test_few_different_rows_are_few_environments(standard: Vectors, cut: str) -> None:
    twice = np.repeat(standard[0][:2], 4, axis=0)
    found = cut_environments(twice, 5, cut, seed=0)
    assert set(found.tolist()) == {0, 1}
    assert len(set(found[:4].tolist())) == 1
