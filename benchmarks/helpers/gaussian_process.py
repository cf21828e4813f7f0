"""matlake's regressor ``gaussian-process``, called as ``block_kernel_ridge`` is."""

import numpy as np

from benchmarks.helpers.block_kernel_ridge import Blocks, Float, Rows
from matlake.regress.regressors import MODELS, Fitted, fit_model

_MODEL = MODELS["gaussian-process"]


def fit_predict(blocks: Blocks, y: Float, train: Rows, test: Rows) -> tuple[Float, list[Fitted]]:
    """Train on some rows and predict others.

    What an encoder could not encode is NaN, and becomes the mean of the training rows.

    Args:
        blocks: float [n, d] each; NaN in rows without features.
        y: float64 [n, targets], as they are to be learned.
        train: Rows to train on.
        test: Rows to predict.

    Returns:
        float64 [test rows, targets]; and what was fitted to each target.
    """
    parameters = _MODEL.grid_of(tuple(block.shape[1] for block in blocks))[0]
    x = np.concatenate(blocks, axis=1)
    x = np.where(np.isnan(x), np.nanmean(x[train], axis=0), x).astype(np.float32)
    fitted = [fit_model(_MODEL, parameters, x[train], column, 0) for column in y[train].T]
    return np.column_stack([one.predict(x[test]) for one in fitted]), fitted
