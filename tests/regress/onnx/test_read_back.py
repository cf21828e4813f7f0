from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from matlake.regress.onnx.convert import convert, run_graph
from matlake.regress.onnx.read_back import read_ir_net
from matlake.regress.regressors import Fitted
from matlake.regress.regressors.elemnet_numpy import ReluNetwork, fresh_layers
from matlake.regress.regressors.ir_net_numpy import ResidualNetwork

OLD = Path(__file__).parents[2] / "data" / "ir_net_0_1_0" / "head.onnx"
"""Three blocks: one normalised, one with the identity beside it, one with a linear shortcut. Written by 0.1.0."""


def read(content: bytes) -> tuple[Fitted, ResidualNetwork]:
    found = read_ir_net(content)
    assert found is not None
    return found


X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)


def test_a_network_written_by_0_1_0_is_read_back() -> None:
    content = OLD.read_bytes()
    fitted, network = read(content)
    assert fitted.predict(X) == pytest.approx(run_graph(content, X), abs=1e-5)
    assert [(b.norm is None, b.shortcut is None) for b in network.blocks] == [
        (False, False),
        (True, True),
        (True, False),
    ]


def test_a_network_survives_the_round_trip() -> None:
    fitted, _ = read(OLD.read_bytes())
    again, _ = read(convert(fitted, 3))
    assert again.predict(X).tolist() == fitted.predict(X).tolist()
    assert (again.mean, again.std) == (fitted.mean, fitted.std)


def test_a_network_without_blocks_is_one_too() -> None:
    fitted, _ = read(OLD.read_bytes())
    (weights, biases) = fresh_layers([3, 1], 0)[0]
    linear = replace(fitted, regressor=ResidualNetwork((), (weights, biases)))
    assert read(convert(linear, 3))[1].blocks == ()


def test_other_graphs_are_not_taken_for_one() -> None:
    fitted, _ = read(OLD.read_bytes())
    for other in (
        Fitted(None, fitted.regressor, 0.0, 1.0),
        replace(fitted, regressor=ReluNetwork(fresh_layers([3, 4, 1], 0))),
    ):
        assert read_ir_net(convert(other, 3)) is None
