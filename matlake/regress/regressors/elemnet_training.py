"""Training of ReLU networks, all layers or the last ones.

The loss is the mean absolute error of the standardised target, as in Jha et al., Sci. Rep. 8, 17593 (2018) and Gupta
et al., Nat. Commun. 12, 6595 (2021).
"""

import numpy as np

from matlake.regress.regressors.elemnet_numpy import Layers, Standard, activations
from matlake.regress.regressors.regressor import Rows
from matlake.regress.regressors.training_settings import TrainingSettings, require_torch


def train_layers(
    start: Layers, fit: Rows, validation: Rows, settings: TrainingSettings, seed: int, frozen: int = 0
) -> Layers:
    """Train a ReLU network, and keep the weights of the epoch with the smallest validation error.

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
