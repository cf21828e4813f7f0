"""Support vector regression, kernel ridge regression, and Nyström's approximation for many rows.

Kernels are computed by matrix products rather than pair by pair. ``gamma`` and ``linear`` are given in multiples of
1/d, so that for d standardised features both kernels of a row with itself are near 1. ``blocks`` holds the lengths of
the blocks where a kernel is the mean over several.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from matlake.regress.regressors.kernels import Kernel, KernelExpansion, expand
from matlake.regress.regressors.labelled_rows import Weights
from matlake.regress.regressors.landmarks import (
    EXACT_ROWS,
    LANDMARKS,
    draw_landmarks,
    inverse_root,
    landmark_features,
    solve_on_landmarks,
)
from matlake.regress.regressors.regressor import Model, Parameters, log_uniform

MAX_ROWS: Final = 10_000
"""The kernel matrix takes 800 MB then, and the head 40 MB with 1,024 features."""

SVR_LANDMARKS: Final = 500

_FIRST_ROWS: Final = 1500
_MOST_SHARE: Final = 0.7
_SLACK: Final = 2e-3
_MAX_STEPS: Final = 300_000
_CACHE_MB: Final = 200
_MAX_SWEEPS: Final = 300


def _fit_svr(
    parameters: Parameters,
    z: NDArray[np.float64],
    y: NDArray[np.float64],
    seed: int,
    weights: Weights,
) -> KernelExpansion:
    """Solve the dual for some rows, add those that are outside the tube, and again, until there are none.

    Rows inside the tube have no part in the solution, so it is that of all rows (Osuna, Freund and Girosi, IEEE
    Workshop on Neural Networks for Signal Processing, 276, 1997). Where most rows have a part, all are taken at once.
    A weight multiplies the bound C of its row.
    """
    kernel, points = _kernel(parameters), z.astype(np.float32)
    everything = np.arange(len(y))
    rows = everything
    if len(y) >= _FIRST_ROWS * 2:
        rows = np.sort(np.random.default_rng(seed).permutation(len(y))[:_FIRST_ROWS])
    while True:
        machine = _solve_svr(parameters, kernel, points[rows], y[rows], None if weights is None else weights[rows])
        if len(rows) == len(y):
            return machine
        inside = np.abs(machine.predict(z) - y) <= parameters["epsilon"] + _SLACK
        inside[rows] = True
        if inside.all():
            return machine
        rows = np.union1d(rows, np.flatnonzero(~inside))
        if len(rows) > _MOST_SHARE * len(y):
            rows = everything


def _solve_svr(
    parameters: Parameters, kernel: Kernel, points: NDArray[np.float32], y: NDArray[np.float64], weights: Weights
) -> KernelExpansion:
    """Solve the dual with libsvm, which keeps kernel values in float32 itself."""
    from sklearn import config_context
    from sklearn.svm import SVR

    svr = SVR(
        kernel="precomputed",
        C=parameters["C"],
        epsilon=parameters["epsilon"],
        cache_size=_CACHE_MB,
        max_iter=_MAX_STEPS,
    )
    with config_context(assume_finite=True):
        svr.fit(kernel.gram(points, np.float32), y, sample_weight=weights)
    return expand(kernel, points[svr.support_], svr.dual_coef_[0].astype(np.float64), float(svr.intercept_[0]))


def _fit_kernel_ridge(
    parameters: Parameters,
    z: NDArray[np.float64],
    y: NDArray[np.float64],
    seed: int,
    weights: Weights,
) -> KernelExpansion:
    """Solve (K + alpha) w = y by Cholesky's factorisation, in the memory of K; beyond ``EXACT_ROWS``, on landmarks.

    The ridge of a row is divided by its weight, as the variance of a mean of so many rows is.
    """
    from scipy.linalg import cho_factor, cho_solve

    kernel = _kernel(parameters)
    if len(z) > EXACT_ROWS:
        points = draw_landmarks(z, LANDMARKS, seed)
        return expand(kernel, points, solve_on_landmarks(kernel, points, z, y, parameters["alpha"], weights), 0.0)
    points = z.astype(np.float32)
    gram = kernel.gram(points, np.float64)
    gram.flat[:: len(gram) + 1] += parameters["alpha"] / (1.0 if weights is None else weights)
    solved = cho_solve(cho_factor(gram.T, overwrite_a=True, check_finite=False), y, check_finite=False)
    return expand(kernel, points, solved, 0.0)


def _fit_nystroem(
    parameters: Parameters,
    z: NDArray[np.float64],
    y: NDArray[np.float64],
    seed: int,
    weights: Weights,
) -> KernelExpansion:
    """Fit a linear SVR to the features K(x, p)·K(p, p)^(-1/2) of some training rows p.

    Williams and Seeger, Adv. Neural Inf. Process. Syst. 13, 682 (2001).
    """
    from sklearn.svm import LinearSVR

    kernel = _kernel(parameters)
    points = draw_landmarks(z, int(parameters["landmarks"]), seed)
    root = inverse_root(kernel, points)
    features = landmark_features(kernel, points, root, z)
    svr = LinearSVR(C=parameters["C"], epsilon=parameters["epsilon"], max_iter=_MAX_SWEEPS, random_state=seed)
    svr.fit(features, y, sample_weight=weights)
    return expand(kernel, points, root @ svr.coef_, float(svr.intercept_[0]))


def _kernel(parameters: Parameters) -> Kernel:
    return Kernel(parameters.get("gamma"), parameters.get("linear", 0.0), tuple(parameters.get("blocks", ())))


def _of_features(*settings: Parameters) -> Callable[[int], list[Parameters]]:
    """Return a grid whose ``gamma`` and ``linear`` are divided by the number of features."""

    def grid(n_features: int) -> list[Parameters]:
        return [_divided(setting, n_features) for setting in settings]

    return grid


def _divided(setting: Parameters, n_features: int) -> Parameters:
    return {name: value / n_features if name in {"gamma", "linear"} else value for name, value in setting.items()}


def _draw(**ranges: tuple[float, float] | float) -> Callable[[np.random.Generator, int], Parameters]:
    """Return a function that draws those parameters that are given as a range."""

    def draw(rng: np.random.Generator, n_features: int) -> Parameters:
        drawn: dict[str, Any] = {
            name: log_uniform(rng, *bounds) if isinstance(bounds, tuple) else bounds for name, bounds in ranges.items()
        }
        return _divided(drawn, n_features)

    return draw


_C: Final = (0.3, 100.0)
_GAMMA: Final = (0.1, 20.0)
_LINEAR: Final = (0.03, 3.0)
_EPSILON: Final = (0.01, 0.2)

_SVR_SETTINGS: Final[list[Parameters]] = [
    {"C": c, "gamma": gamma, "epsilon": 0.05} for c, gamma in ((10.0, 0.3), (3.0, 1.0), (10.0, 4.0), (30.0, 16.0))
]

SVR: Final = Model(
    "svr",
    _fit_svr,
    _of_features(*({**setting, "linear": 0.3} for setting in _SVR_SETTINGS)),
    _draw(C=_C, gamma=_GAMMA, linear=_LINEAR, epsilon=_EPSILON),
    max_rows=MAX_ROWS,
    in_blocks=True,
    weighted=True,
)
SVR_LINEAR: Final = Model(
    "svr-linear",
    _fit_svr,
    _of_features(*({"C": c, "linear": 1.0, "epsilon": 0.05} for c in (1.0, 0.1, 10.0))),
    _draw(C=(0.03, 10.0), linear=1.0, epsilon=_EPSILON),
    max_rows=MAX_ROWS,
    weighted=True,
)
SVR_RBF: Final = Model(
    "svr-rbf",
    _fit_svr,
    _of_features(*_SVR_SETTINGS),
    _draw(C=_C, gamma=_GAMMA, epsilon=_EPSILON),
    max_rows=MAX_ROWS,
    in_blocks=True,
    weighted=True,
)
KERNEL_RIDGE: Final = Model(
    "kernel-ridge",
    _fit_kernel_ridge,
    _of_features(
        *({"alpha": alpha, "gamma": gamma, "linear": 0.3} for alpha, gamma in ((0.03, 0.5), (0.1, 2.0), (0.3, 0.5)))
    ),
    _draw(alpha=(0.003, 3.0), gamma=_GAMMA, linear=_LINEAR),
    in_blocks=True,
    weighted=True,
)
NYSTROEM_SVR: Final = Model(
    "nystroem-svr",
    _fit_nystroem,
    _of_features(*({**setting, "linear": 0.3, "landmarks": SVR_LANDMARKS} for setting in _SVR_SETTINGS[:3])),
    _draw(C=_C, gamma=_GAMMA, linear=_LINEAR, epsilon=_EPSILON, landmarks=SVR_LANDMARKS),
    in_blocks=True,
    weighted=True,
)
