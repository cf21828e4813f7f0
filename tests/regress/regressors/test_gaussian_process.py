"""A kernel that learns what each block of features is worth."""

import numpy as np
import pytest
from sklearn.gaussian_process.kernels import Matern
from threadpoolctl import threadpool_limits

from matlake.regress.regressors import fit_model
from matlake.regress.regressors.gaussian_process import (
    GAUSSIAN_PROCESS,
    MaternBlocks,
    _best_ridge,
    _negative_likelihood,
    learn,
)
from matlake.regress.regressors.kernels import KernelExpansion, gram_of

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 12)).astype(np.float32)
BLOCKS = (3, 7, 2)
Y = np.sin(X[:, 0]) + X[:, 1] + 0.02 * RNG.normal(size=90)


def test_the_kernel_is_a_sum_of_those_of_scikit_learn() -> None:
    kernel = MaternBlocks(BLOCKS, (0.7, 0.2, 1.5), (0.3, 2.0, 0.05))
    expected = sum(
        weight * Matern(np.sqrt(length / width), nu=2.5)(X[:, start : start + length].astype(np.float64))
        for start, length, weight, width in zip((0, 3, 10), BLOCKS, kernel.weights, kernel.widths, strict=True)
    )
    assert np.abs(gram_of(kernel, X, np.float64) - expected).max() < 1e-10


def test_slopes_of_the_likelihood_are_right() -> None:
    parts = [X[:40, :3].astype(np.float64), X[:40, 3:10].astype(np.float64)]
    below = np.tril_indices(40, -1)
    roots = [np.sqrt(((part[:, None] - part[None]) ** 2).mean(axis=2))[below] for part in parts]
    logs, target = np.log([0.5, 0.3, 0.2, 0.7, 0.05]), Y[:40] - Y[:40].mean()
    _, slopes = _negative_likelihood(roots, target, logs)
    for place, slope in enumerate(slopes):
        step = 1e-3 * np.eye(len(logs))[place]
        above, below = (_negative_likelihood(roots, target, logs + sign * step)[0] for sign in (1, -1))
        assert (above - below) / 2e-3 == pytest.approx(slope, rel=1e-3, abs=2e-3)


def test_a_block_that_says_nothing_gets_little_weight() -> None:
    kernel, noise = learn(X, Y, BLOCKS)
    assert kernel.weights[0] > 10 * max(kernel.weights[1:])
    assert 0.0 < noise < 0.2
    assert kernel == learn(X, Y, BLOCKS)[0]


def test_the_ridge_is_the_best_of_fits_without_each_row() -> None:
    kernel, noise = learn(X, Y, BLOCKS)
    gram = gram_of(kernel, X, np.float64)
    errors = {}
    for factor in (0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.5, 5.0, 10.0):
        residuals = []
        for row in range(len(Y)):
            fit = np.delete(np.arange(len(Y)), row)
            weights = np.linalg.solve(gram[np.ix_(fit, fit)] + factor * noise * np.eye(len(fit)), Y[fit])
            residuals.append(abs(gram[row, fit] @ weights - Y[row]))
        errors[factor * noise] = float(np.mean(residuals))
    assert _best_ridge(gram.copy(), Y, noise) == min(errors, key=lambda ridge: errors[ridge])


def test_many_features_that_say_nothing_hardly_matter() -> None:
    x = RNG.normal(size=(150, 203)).astype(np.float32)
    y = np.sin(x[:, 0]) + x[:, 1]
    settings = {"precision": 0.1, "blocks": [3, 100, 100]}, {"precision": 0.1}
    fits = [fit_model(GAUSSIAN_PROCESS, setting, x[:90], y[:90], seed=0) for setting in settings]
    assert all(isinstance(fitted.regressor, KernelExpansion) for fitted in fits)
    learned, given = (np.abs(fitted.predict(x[90:]) - y[90:]).mean() for fitted in fits)
    assert learned < 0.5 * given


@pytest.mark.parametrize("rows", [10, 60])
def test_few_rows_and_constant_columns_are_fitted(rows: int) -> None:
    x = np.hstack([X[:rows], np.ones((rows, 4), np.float32)])
    fitted = fit_model(GAUSSIAN_PROCESS, {"precision": 0.1, "blocks": [*BLOCKS, 4]}, x, Y[:rows], seed=0)
    assert np.isfinite(fitted.predict(x)).all()


def test_another_number_of_threads_changes_the_last_digits_only() -> None:
    """What thirty steps of learning made of rounding was 0.5 % of the spread of the target."""
    x = np.random.default_rng(0).normal(size=(900, 89)).astype(np.float32)
    y = np.sin(x[:, 0]) + 0.1 * np.random.default_rng(1).normal(size=900)
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads, "blas"):
            setting = {"precision": 0.1, "blocks": [64, 20, 5]}
            found.append(fit_model(GAUSSIAN_PROCESS, setting, x, y, seed=0).predict(x))
    assert np.abs(found[0] - found[1]).max() < 1e-8
