import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.kernel_ridge import KernelRidge
from sklearn.metrics.pairwise import linear_kernel, rbf_kernel
from sklearn.svm import SVR

from matlake.regress.regressors import MODELS, Parameters, fit_model, kernel_machines
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
