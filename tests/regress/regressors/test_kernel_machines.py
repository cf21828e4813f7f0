import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import linear_kernel, rbf_kernel
from sklearn.svm import SVR

from matlake.encoders.session import audit
from matlake.errors import HeadError
from matlake.regress.onnx.convert import check_parity, convert
from matlake.regress.regressors import MODELS, Parameters, fit_model, kernel_machines
from matlake.regress.regressors.ensemble import ensemble_model, ensemble_parameters
from matlake.regress.regressors.kernels import Kernel, KernelExpansion

Vectors = tuple[NDArray[np.float32], NDArray[np.float64]]

GAMMA, LINEAR = 0.5 / 128, 0.3 / 128


def both_kernels(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    together: NDArray[np.float64] = rbf_kernel(a, b, gamma=GAMMA) + LINEAR * linear_kernel(a, b)
    return together


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        (Kernel(GAMMA, 0.0), lambda a: rbf_kernel(a, gamma=GAMMA)),
        (Kernel(None, LINEAR), lambda a: LINEAR * linear_kernel(a)),
        (Kernel(GAMMA, LINEAR), lambda a: both_kernels(a, a)),
    ],
)
def test_kernel_matrices_equal_those_of_scikit_learn(kernel: Kernel, expected, vectors: Vectors) -> None:
    points = np.tile((vectors[0] - vectors[0].mean(0)) / (vectors[0].std(0) + 1e-3), (6, 1))  # more than one block
    gram = kernel.gram(points, np.float64)
    assert np.abs(gram - gram.T).max() < 1e-12
    assert np.abs(gram - expected(points.astype(np.float64))).max() < 1e-9
    assert np.abs(gram - kernel.gram(points, np.float32)).max() < 1e-4


@pytest.mark.parametrize(
    ("name", "parameters", "peer"),
    [
        ("svr-rbf", {"C": 3.0, "gamma": GAMMA, "epsilon": 0.05}, SVR(C=3.0, gamma=GAMMA, epsilon=0.05, tol=1e-5)),
        (
            "svr-linear",
            {"C": 1.0, "linear": LINEAR, "epsilon": 0.05},
            SVR(C=LINEAR, kernel="linear", epsilon=0.05, tol=1e-5),
        ),
        (
            "svr",
            {"C": 3.0, "gamma": GAMMA, "linear": LINEAR, "epsilon": 0.05},
            SVR(C=3.0, kernel=both_kernels, epsilon=0.05, tol=1e-5),
        ),
        (
            "kernel-ridge",
            {"alpha": 0.1, "gamma": GAMMA, "linear": LINEAR},
            KernelRidge(alpha=0.1, kernel="precomputed"),
        ),
    ],
)
def test_kernel_machines_equal_those_of_scikit_learn(
    name: str, parameters: Parameters, peer: SVR, vectors: Vectors
) -> None:
    x, y = vectors
    fitted = fit_model(MODELS[name], parameters, x[:240], y[:240], seed=0)
    assert fitted.scaler is not None
    known, asked = fitted.scaler.transform(x[:240]), fitted.scaler.transform(x)
    target = (y[:240] - fitted.mean) / fitted.std
    if name == "kernel-ridge":
        expected = peer.fit(both_kernels(known, known), target).predict(both_kernels(asked, known))
    else:
        expected = peer.fit(known, target).predict(asked)
    assert (fitted.predict(x) - fitted.mean) / fitted.std == pytest.approx(expected, abs=3e-3)


def test_nystroem_approaches_the_svr_as_landmarks_become_all_rows(vectors: Vectors) -> None:
    x, y = vectors
    parameters = {"C": 1.0, "gamma": GAMMA, "linear": LINEAR, "epsilon": 0.05}
    exact = fit_model(MODELS["svr"], parameters, x[:240], y[:240], seed=0).predict(x)
    distance = {
        landmarks: np.abs(
            fit_model(MODELS["nystroem-svr"], {**parameters, "landmarks": landmarks}, x[:240], y[:240], seed=0).predict(
                x
            )
            - exact
        ).mean()
        / y.std()
        for landmarks in (10, 60, 240)
    }
    assert distance[240] < 0.01
    assert distance[240] < distance[60] < distance[10]


def test_far_away_the_rbf_falls_back_to_its_bias_and_the_sum_goes_on_as_a_plane(vectors: Vectors) -> None:
    x, y = vectors
    machines = {}
    for name in ("svr-rbf", "svr"):
        fitted = fit_model(MODELS[name], MODELS[name].grid(x.shape[1])[0], x, y, seed=0)
        assert isinstance(fitted.regressor, KernelExpansion)
        machines[name] = fitted.regressor
    uphill = machines["svr"].slopes / np.linalg.norm(machines["svr"].slopes)
    far = np.outer([100.0, 200.0, 300.0], uphill)
    assert machines["svr-rbf"].predict(far) == pytest.approx(machines["svr-rbf"].intercept, abs=1e-6)
    steps = np.diff(machines["svr"].predict(far))
    assert steps.min() > 1.0
    assert steps[0] == pytest.approx(steps[1])


def test_beyond_the_highest_values_of_training_the_sum_is_nearer_than_the_rbf(elastic: Vectors) -> None:
    x, y = elastic
    low, high = np.argsort(y)[:-60], np.argsort(y)[-60:]
    error = {}
    for name in ("svr-rbf", "svr"):
        fitted = fit_model(MODELS[name], MODELS[name].grid(x.shape[1])[0], x[low], y[low], seed=0)
        error[name] = np.abs(fitted.predict(x[high]) - y[high]).mean()
    assert error["svr"] < error["svr-rbf"] < np.abs(y[low].mean() - y[high]).mean()


def test_rows_inside_the_tube_may_be_left_out_of_the_kernel_matrix(
    elastic: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = elastic
    parameters = {"C": 3.0, "gamma": GAMMA, "linear": LINEAR, "epsilon": 0.5}
    whole = fit_model(MODELS["svr"], parameters, x, y, seed=0)
    sizes: list[int] = []
    gram = Kernel.gram

    def counted(kernel: Kernel, points: NDArray[np.float32], precision: type[np.float32]) -> NDArray[np.float64]:
        sizes.append(len(points))
        return gram(kernel, points, precision)

    monkeypatch.setattr(Kernel, "gram", counted)
    monkeypatch.setattr(kernel_machines, "_FIRST_ROWS", 60)
    parts = fit_model(MODELS["svr"], parameters, x, y, seed=0)
    assert sizes[0] == 60
    assert sizes == sorted(sizes)
    assert sizes[-1] < len(y)
    assert np.abs(parts.predict(x) - whole.predict(x)).max() < 0.02 * y.std()


def test_all_rows_are_taken_where_most_are_outside_the_tube(vectors: Vectors, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = vectors
    parameters = {"C": 3.0, "gamma": GAMMA, "linear": LINEAR, "epsilon": 0.001}
    whole = fit_model(MODELS["svr"], parameters, x, y, seed=0).predict(x)
    monkeypatch.setattr(kernel_machines, "_FIRST_ROWS", 60)
    assert np.array_equal(fit_model(MODELS["svr"], parameters, x, y, seed=0).predict(x), whole)


BLOCKS = (100, 4, 24)


def kernel_of_blocks(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half the mean of 1 / (1 + s) of the blocks, half that of their mean s; and the mean of linear kernels."""
    ends = np.cumsum(BLOCKS)
    parts = [slice(end - n, end) for n, end in zip(BLOCKS, ends, strict=True)]
    pairs = [(a[:, part], b[:, part]) for part in parts]
    squares = [GAMMA * 128 * ((u[:, None] - v[None]) ** 2).mean(axis=2) for u, v in pairs]
    together = 1.0 / (1.0 + np.mean(squares, axis=0))
    linear = np.mean([LINEAR * 128 * u @ v.T / u.shape[1] for u, v in pairs], axis=0)
    values: NDArray[np.float64] = (np.mean([1.0 / (1.0 + s) for s in squares], axis=0) + together) / 2.0 + linear
    return values


def test_blocks_weigh_alike_alone_and_together(vectors: Vectors) -> None:
    z = ((vectors[0] - vectors[0].mean(0)) / (vectors[0].std(0) + 1e-3))[:60].astype(np.float64)
    kernel = Kernel(GAMMA, LINEAR, BLOCKS)
    expected = kernel_of_blocks(z, z[:20])
    assert np.abs(kernel.between(z, z[:20]) - expected).max() < 1e-12
    assert np.linalg.eigvalsh(kernel.gram(z.astype(np.float32), np.float64)).min() > -1e-10
    assert np.abs(kernel.gram(z.astype(np.float32), np.float32) - kernel_of_blocks(z, z)).max() < 1e-4
    only_linear = Kernel(None, LINEAR, BLOCKS).between(z, z)
    assert np.abs(Kernel(GAMMA, 0.0, BLOCKS).between(z, z) + only_linear - kernel_of_blocks(z, z)).max() < 1e-12


@pytest.mark.parametrize("name", ["svr", "svr-rbf", "kernel-ridge", "nystroem-svr", "gaussian-process"])
def test_machines_of_blocks_become_one_graph(name: str, vectors: Vectors) -> None:
    x, y = vectors
    assert MODELS[name].grid_of((128,)) == MODELS[name].grid(128)
    for parameters in (MODELS[name].grid_of(BLOCKS)[0], MODELS[name].draw_of(np.random.default_rng(0), BLOCKS)):
        assert json.loads(json.dumps(parameters))["blocks"] == list(BLOCKS)
        fitted = fit_model(MODELS[name], parameters, x[:240], y[:240], seed=0)
        content = convert(fitted, x.shape[1])
        audit(content, Path("head.onnx"), HeadError)
        assert check_parity(content, fitted, x) <= 1e-9
        assert np.abs(fitted.predict(x[240:]) - y[240:]).mean() < 0.8 * np.abs(y[240:] - y[:240].mean()).mean()


def test_models_without_kernels_take_no_blocks() -> None:
    for name in ("ridge", "svr-linear", "extra-trees", "mlp"):
        assert MODELS[name].grid_of((3, 5)) == MODELS[name].grid(8)
        assert "blocks" not in MODELS[name].draw_of(np.random.default_rng(0), (3, 5))


def test_an_ensemble_keeps_the_rows_of_machines_in_blocks_and_not_once(vectors: Vectors) -> None:
    x, y = vectors
    grids = [MODELS["kernel-ridge"].grid_of(blocks)[0] for blocks in (BLOCKS, (128,))]
    both = ensemble_model(ensemble_parameters([("kernel-ridge", parameters, 0.5) for parameters in grids]))
    fitted = fit_model(both, both.grid(128)[0], x[:240], y[:240], seed=0)
    content = convert(fitted, 128)
    alone = convert(fit_model(MODELS["kernel-ridge"], grids[1], x[:240], y[:240], seed=0), 128)
    assert check_parity(content, fitted, x) <= 1e-9
    assert len(content) < 1.2 * len(alone)
