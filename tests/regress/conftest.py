"""Fixtures: real features as a network sees them, and a network that has learned from them."""

import numpy as np
import pytest
from numpy.typing import NDArray

from matlake.regress.regressors import Fitted, fit_model
from matlake.regress.regressors.ir_net import IR_NET_KIND, ir_net_model

Vectors = tuple[NDArray[np.float32], NDArray[np.float64]]


@pytest.fixture(scope="session")
def standard(vectors: Vectors) -> Vectors:
    """Standardised embeddings [307, 128] and band gaps [307]."""
    x, y = vectors
    scaled = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-6)
    return scaled.astype(np.float32), (y - y.mean()) / y.std()


@pytest.fixture(scope="session")
def learned(vectors: Vectors) -> Fitted:
    """An IR-net fitted to the first 150 rows."""
    pytest.importorskip("torch", reason="needs the extra 'train'")
    x, y = vectors
    model = ir_net_model(IR_NET_KIND, (64, 32))
    return fit_model(model, {**model.grid(128)[0], "epochs": 15, "dropout": 0.1}, x[:150], y[:150], seed=0)
