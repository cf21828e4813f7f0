"""Some rows stand for all: exact where they are all rows, near it where they are few, in bounded memory."""

import numpy as np
import pytest

from matlake.regress.onnx.convert import check_parity, convert
from matlake.regress.regressors import MODELS, fit_model, gaussian_process, kernel_machines, landmarks
from matlake.regress.regressors.kernels import Kernel, gram_of
from matlake.regress.regressors.landmarks import draw_landmarks, inverse_root, solve_on_landmarks

RNG = np.random.default_rng(0)
Z = RNG.normal(size=(120, 5))
Y = np.sin(Z[:, 0]) + 0.5 * Z[:, 1] + 0.05 * RNG.normal(size=120)
KERNEL = Kernel(0.2, 0.1)


def test_with_all_rows_as_landmarks_the_solution_is_exact() -> None:
    points = Z.astype(np.float32)
    gram = gram_of(KERNEL, points, np.float64)
    exact = gram @ np.linalg.solve(gram + 0.1 * np.eye(120), Y)
    found = gram @ solve_on_landmarks(KERNEL, points, points.astype(np.float64), Y, 0.1)
    assert found == pytest.approx(exact, abs=1e-5)


def test_a_root_undoes_the_kernel() -> None:
    points = draw_landmarks(Z, 30, seed=1)
    root = inverse_root(KERNEL, points)
    assert root.T @ gram_of(KERNEL, points, np.float64) @ root == pytest.approx(np.eye(root.shape[1]), abs=1e-6)


def test_memory_is_bounded_by_steps_that_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    points = draw_landmarks(Z, 30, seed=0)
    whole = solve_on_landmarks(KERNEL, points, Z, Y, 0.1)
    monkeypatch.setattr(landmarks, "_STEP", 30 * 7)
    assert solve_on_landmarks(KERNEL, points, Z, Y, 0.1) == pytest.approx(whole, rel=1e-6)


def test_a_weight_of_two_is_a_row_twice() -> None:
    points, weights = draw_landmarks(Z, 30, seed=0), np.where(np.arange(120) % 3 == 0, 2.0, 1.0)
    rows = np.repeat(np.arange(120), weights.astype(int))
    twice = solve_on_landmarks(KERNEL, points, Z[rows], Y[rows], 0.1)
    assert solve_on_landmarks(KERNEL, points, Z, Y, 0.1, weights) == pytest.approx(twice, rel=1e-6)


@pytest.mark.parametrize("name", ["kernel-ridge", "gaussian-process"])
def test_beyond_the_exact_rows_a_machine_keeps_its_landmarks_and_nearly_its_error(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, x = MODELS[name], Z.astype(np.float32)
    parameters = model.grid_of((3, 2))[0]
    exact = fit_model(model, parameters, x, Y, 0)
    for module in (kernel_machines, gaussian_process):
        monkeypatch.setattr(module, "EXACT_ROWS", 100)
        monkeypatch.setattr(module, "LANDMARKS", 60)
    found = fit_model(model, parameters, x, Y, 0)
    assert (len(exact.regressor.points), len(found.regressor.points)) == (120, 60)
    assert np.abs(found.predict(x) - exact.predict(x)).mean() < 0.1 * Y.std()
    assert check_parity(convert(found, 5), found, x) < 1e-9
