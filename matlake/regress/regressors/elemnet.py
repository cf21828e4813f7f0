"""ElemNet as a regressor: from scratch on any features, or from the weights of an encoder on element fractions.

Sources: Jha et al., Sci. Rep. 8, 17593 (2018), the network; Gupta et al., Nat. Commun. 12, 6595 (2021), the methods of
using a source model's weights.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from matlake.errors import EncoderError
from matlake.regress.regressors.elemnet_numpy import Layers, ReluNetwork, Standard, activations, fresh_layers
from matlake.regress.regressors.fitting import deep_model
from matlake.regress.regressors.regressor import Model, Parameters, Regressor, Rows
from matlake.regress.regressors.training_settings import TrainingSettings, require_torch

HIDDEN_WIDTHS: Final = (1024,) * 4 + (512,) * 3 + (256,) * 3 + (128,) * 3 + (64,) * 2 + (32,)
"""Of ElemNet."""


class TransferMethod(StrEnum):
    """How a source's weights are used: all kept as the start; the output drawn anew; hidden layers frozen."""

    FINE_TUNE = "fine-tune"
    MOD_FINE_TUNE = "mod-fine-tune"
    FREEZING = "freezing"


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


def fine_tuned(method: TransferMethod, source: Source) -> Model:
    """Return the model that begins with an encoder's weights; its features are element fractions as they are.

    Args:
        method: How its weights are used.
        source: The encoder.

    Raises:
        EncoderError: All weights are to be kept, and it predicts several properties.
    """
    outputs = len(source.layers[-1][1])
    if method == TransferMethod.FINE_TUNE and outputs != 1:
        raise EncoderError(
            f"encoder {source.name} predicts {outputs} properties: its output layer cannot begin a training for one",
            f"use {TransferMethod.MOD_FINE_TUNE}:{source.name}, which draws it anew",
        )
    start = partial(_kept if method == TransferMethod.FINE_TUNE else _output_drawn, source.layers)
    settings, frozen = (FROZEN, len(source.layers) - 1) if method == TransferMethod.FREEZING else (TUNED, 0)
    parameters = {"source": source.name, "source_sha256": source.sha256, **settings}
    return _model(f"{method}:{source.name}", start, parameters, frozen=frozen, scaled=False)


def _model(name: str, start: Start, parameters: Parameters, *, frozen: int = 0, scaled: bool = True) -> Model:
    def fit_validated(chosen: Parameters, fit: Rows, validation: Rows, seed: int) -> Regressor:
        settings = TrainingSettings.among(chosen)
        return ReluNetwork(train_layers(start(fit[0], seed), fit, validation, settings, seed, frozen))

    return deep_model(name, parameters, fit_validated, scaled=scaled)


def train_layers(
    start: Layers, fit: Rows, validation: Rows, settings: TrainingSettings, seed: int, frozen: int = 0
) -> Layers:
    """Train a ReLU network, and keep the weights of the epoch with the smallest validation error.

    The loss is the mean absolute error of the standardised target, as in both sources.

    The result depends on seed, settings and data, and in its last digits on the number of threads that torch is set to.

    Args:
        start: Where the weights begin; the last layer has one output.
        fit: Features [n, d] of the rows to fit, and their standardised target float64 [n].
        validation: The same of the validation rows, which choose the epoch and end the training.
        settings: How to train.
        seed: Of the order of rows.
        frozen: Leading layers that keep their weights. Rows go through them once, before the training, and the layers
            behind them are trained on standardised activations.

    Raises:
        MissingExtraError: torch is not installed.
    """
    require_torch()
    if not frozen:
        return _train_all(start, fit, validation, settings, seed)
    kept, trained = start[:frozen], start[frozen:]
    x, x_validation = (np.maximum(activations(kept, rows[0]), 0.0) for rows in (fit, validation))
    standard = Standard.of(x)
    rows = (standard.apply(x), fit[1]), (standard.apply(x_validation), validation[1])
    return (*kept, *standard.out_of(_train_all(standard.into(trained), *rows, settings, seed)))


def _train_all(start: Layers, fit: Rows, validation: Rows, settings: TrainingSettings, seed: int) -> Layers:
    import torch
    from torch import nn

    from matlake.regress.regressors.ir_net_torch import dense_of, linear_of
    from matlake.regress.regressors.row_training import tensors, train_on_rows

    linear = [linear_of(layer) for layer in start]
    hidden = [module for layer in linear[:-1] for module in (layer, nn.ReLU())]
    network = nn.Sequential(*hidden, linear[-1], nn.Flatten(0))
    return train_on_rows(
        network,
        tensors(fit),
        tensors(validation),
        settings,
        seed,
        loss=lambda x, y: nn.functional.l1_loss(network(x), y),
        weights=lambda: tuple(dense_of(layer) for layer in linear),
        cut=torch.split,
    ).best


def _fresh(x: NDArray[Any], seed: int) -> Layers:
    return fresh_layers((x.shape[1], *HIDDEN_WIDTHS, 1), seed)


def _kept(source: Layers, x: NDArray[Any], seed: int) -> Layers:  # noqa: ARG001 - the signature of ``Start``
    """Keep all weights, and fold the scale of the source's property: what is predicted has mean 0 and spread 1.

    Unchanged, its scale has nothing to do with the target's, and the error is larger: see docs/science/models.md.
    """
    predicted = activations(source, x)
    mean, spread = float(predicted.mean()), float(predicted.std()) or 1.0
    weights, biases = source[-1]
    return (*source[:-1], (weights / np.float32(spread), (biases - np.float32(mean)) / np.float32(spread)))


def _output_drawn(source: Layers, x: NDArray[Any], seed: int) -> Layers:
    """Keep the hidden layers, and draw an output for what they give, standardised: their scale is the source's."""
    hidden = source[:-1]
    hidden_values = np.maximum(activations(hidden, x), 0.0)
    return (*hidden, *Standard.of(hidden_values).out_of(fresh_layers((hidden_values.shape[1], 1), seed)))


FRESH: Final[Parameters] = {"learning_rate": 1e-3, "epochs": 25, "steps": 1200, "patience": 10}
TUNED: Final[Parameters] = {"learning_rate": 1e-3, "epochs": 20, "steps": 1200, "patience": 10}
FROZEN: Final[Parameters] = {"learning_rate": 3e-3, "epochs": 100, "steps": 10_000, "patience": 20}

ELEMNET: Final = _model("elemnet", _fresh, FRESH)
