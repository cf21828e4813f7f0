"""ElemNet as a regressor: from scratch on any features, or from the weights of an encoder on element fractions.

Sources: Jha et al., Sci. Rep. 8, 17593 (2018), the network; Gupta et al., Nat. Commun. 12, 6595 (2021), the ways of
using a source model's weights.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from matlake.errors import EncoderError, TrainingError
from matlake.regress.regressors.elemnet_numpy import Layers, ReluNetwork, Standard, activations, fresh_layers
from matlake.regress.regressors.elemnet_training import train_layers
from matlake.regress.regressors.fitting import Fitted
from matlake.regress.regressors.regressor import Model, Parameters, Regressor, Rows, log_uniform, whatever_features
from matlake.regress.regressors.scaling import fit_scaler
from matlake.regress.regressors.training_settings import TrainingSettings

HIDDEN_WIDTHS: Final = (1024,) * 4 + (512,) * 3 + (256,) * 3 + (128,) * 3 + (64,) * 2 + (32,)
"""Of ElemNet."""

FINE_TUNE: Final = "fine-tune"
MOD_FINE_TUNE: Final = "mod-fine-tune"
FREEZING: Final = "freezing"
WAYS: Final = (FINE_TUNE, MOD_FINE_TUNE, FREEZING)
"""How a source's weights are used: all kept as the start; the output drawn anew; hidden layers kept as they are."""

_VALIDATED: Final = 0.1
"""Share of the rows that ends a training where no rows are given for it."""

Start: TypeAlias = Callable[[NDArray[Any], int], Layers]
"""From the rows to fit, prepared, and a seed to the weights that a training begins with."""


@dataclass(frozen=True)
class Source:
    """An encoder whose weights a training begins with.

    Attributes:
        name: Of the encoder.
        sha256: Digest of its file.
        layers: Its layers.
    """

    name: str
    sha256: str
    layers: Layers


def fine_tuned(way: str, source: Source) -> Model:
    """Return the model that begins with an encoder's weights; its features are element fractions as they are.

    Args:
        way: One of ``WAYS``.
        source: The encoder.

    Raises:
        EncoderError: All weights are to be kept, and it predicts several properties.
    """
    outputs = len(source.layers[-1][1])
    if way == FINE_TUNE and outputs != 1:
        raise EncoderError(
            f"encoder {source.name} predicts {outputs} properties: its output layer is no start for one",
            f"use {MOD_FINE_TUNE}:{source.name}, which draws it anew",
        )
    start = partial(_kept, source.layers) if way == FINE_TUNE else partial(_output_drawn, source.layers)
    known = {"source": source.name, "source_sha256": source.sha256}
    return _model(
        f"{way}:{source.name}",
        start,
        FROZEN if way == FREEZING else TUNED,
        known,
        frozen=len(source.layers) - 1 if way == FREEZING else 0,
        scaled=False,
    )


def fit_deep(
    model: Model,
    x: NDArray[np.float32],
    y: NDArray[np.float64],
    x_val: NDArray[np.float32],
    y_val: NDArray[np.float64],
    seed: int,
    parameters: Parameters | None = None,
    device: str = "cpu",
) -> Fitted:
    """Fit a deep network with rows that choose the best epoch, as the cross-property study does with 9 of 90 %.

    Args:
        model: ``ELEMNET`` or one of ``fine_tuned``.
        x: float32 [n, d], rows to fit.
        y: float64 [n], target in its unit.
        x_val: float32 [m, d], rows that end the training.
        y_val: float64 [m].
        seed: Of weights and order of rows.
        parameters: Of the model; its default where not given.
        device: A torch device.

    Raises:
        TrainingError: The model is no deep network, or there are no rows that end the training.
        MissingExtraError: torch is not installed.
    """
    if model.fit_judged is None:
        raise TrainingError(f"{model.name} is no deep network", f"models that are: elemnet, {', '.join(WAYS)}:ENCODER")
    if not len(x_val):
        raise TrainingError("no rows are given that end the training", "give a tenth of the rows, or use fit_model")
    mean, std = float(y.mean()), float(y.std()) or 1.0
    scaler, features = fit_scaler(x) if model.scaled else (None, x)
    judge = (scaler.transform(x_val) if scaler else x_val, (y_val - mean) / std)
    chosen = parameters or model.grid(x.shape[1])[0]
    return Fitted(scaler, model.fit_judged(chosen, (features, (y - mean) / std), judge, seed, device), mean, std)


def split_off(x: NDArray[Any], seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Set a tenth of the rows aside, at least one; rows with equal features stay on one side.

    Args:
        x: [n, d].
        seed: Of the draw.

    Returns:
        The rows to fit and those set aside; all rows for both where all are equal.
    """
    rows = np.ascontiguousarray(x)
    _, group = np.unique(rows.view(np.dtype((np.void, rows.itemsize * rows.shape[1]))).ravel(), return_inverse=True)
    rank = np.random.default_rng(seed).permutation(int(group.max()) + 1)[group]
    order = np.argsort(rank, kind="stable")
    wanted = rank[order[max(1, round(_VALIDATED * len(x))) - 1]]
    aside = rank <= wanted
    if aside.all():
        return np.arange(len(x)), np.arange(len(x))
    return np.flatnonzero(~aside), np.flatnonzero(aside)


def _model(
    name: str, start: Start, parameters: Parameters, known: Parameters, *, frozen: int = 0, scaled: bool = True
) -> Model:
    def fit_judged(chosen: Parameters, fit: Rows, judge: Rows, seed: int, device: str = "cpu") -> Regressor:
        settings = TrainingSettings(**{key: value for key, value in chosen.items() if key not in known})
        return ReluNetwork(train_layers(start(fit[0], seed), fit, judge, settings, seed, frozen, device))

    def fit(chosen: Parameters, x: NDArray[Any], y: NDArray[np.float64], seed: int) -> Regressor:
        rows, aside = split_off(x, seed)
        return fit_judged(chosen, (x[rows], y[rows]), (x[aside], y[aside]), seed)

    def draw(rng: np.random.Generator, n_features: int) -> Parameters:  # noqa: ARG001 - the signature of ``Model.draw``
        middle = parameters["learning_rate"]
        return {**known, **parameters, "learning_rate": log_uniform(rng, middle / 3.0, middle * 3.0)}

    grid = whatever_features([{**known, **parameters}])
    return Model(name, fit, grid, draw, scaled=scaled, fit_judged=fit_judged)


def _fresh(x: NDArray[Any], seed: int) -> Layers:
    return fresh_layers((x.shape[1], *HIDDEN_WIDTHS, 1), seed)


def _kept(source: Layers, x: NDArray[Any], seed: int) -> Layers:  # noqa: ARG001 - the signature of ``Start``
    """Keep all weights, and fold the scale of the source's property: what is predicted has mean 0 and spread 1.

    As it is, its scale has nothing to do with the target's, and the error is larger: see docs/models.md.
    """
    predicted = activations(source, x)
    mean, spread = float(predicted.mean()), float(predicted.std()) or 1.0
    weights, biases = source[-1]
    return (*source[:-1], (weights / np.float32(spread), (biases - np.float32(mean)) / np.float32(spread)))


def _output_drawn(source: Layers, x: NDArray[Any], seed: int) -> Layers:
    """Keep the hidden layers, and draw an output for what they give, standardised: their scale is the source's."""
    hidden = source[:-1]
    seen = np.maximum(activations(hidden, x), 0.0)
    return (*hidden, *Standard.of(seen).out_of(fresh_layers((seen.shape[1], 1), seed)))


FRESH: Final[Parameters] = {"learning_rate": 1e-3, "epochs": 25, "steps": 1200, "patience": 10}
TUNED: Final[Parameters] = {"learning_rate": 1e-3, "epochs": 20, "steps": 1200, "patience": 10}
FROZEN: Final[Parameters] = {"learning_rate": 3e-3, "epochs": 100, "steps": 10_000, "patience": 20}

ELEMNET: Final = _model("elemnet", _fresh, FRESH, {})
