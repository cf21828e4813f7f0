import numpy as np
import pytest

from matlake.regress.uncertainty.conformal import LEVEL, conformal_quantile


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (3, 1.2956230512190894),
        (6, 7.9343608980108336),
        (9, 1.8000263590342618),
        (10, 4.677414793712793),
        (19, 7.0825796439575175),
        (100, 2.146457887788539),
        (1000, 2.1006554585780917),
        (4999, 2.1538682369708564),
    ],
)
def test_quantiles_are_those_of_the_reference_implementation(rows: int, expected: float) -> None:
    """Expected values are those of crepes 0.9.1, by ``ConformalRegressor().fit(residuals, sigmas)``."""
    source = np.random.default_rng(0)
    for size in (3, 6, 9, 10, 19, 100, 1000, 4999):
        residuals, difficulties = source.exponential(size=size), source.uniform(0.5, 2.0, size=size)
        if size == rows:
            break
    assert conformal_quantile(residuals / difficulties, min(LEVEL, 1.0 - 1.01 / (rows + 1))) == expected


def test_a_new_score_is_covered_at_least_as_often_as_stated() -> None:
    source = np.random.default_rng(0)
    covered = [source.normal() <= conformal_quantile(source.normal(size=29), 0.9) for _ in range(4000)]
    assert 0.9 <= np.mean(covered) <= 0.9 + 2 / 30
