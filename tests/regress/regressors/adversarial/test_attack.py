import numpy as np
import pytest
from numpy.typing import NDArray

from matlake.regress.regressors import Fitted

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from matlake.regress.regressors.adversarial.attack import attack  # noqa: E402 - needs torch
from matlake.regress.regressors.ir_net_torch import TorchNetwork, from_arrays  # noqa: E402

Vectors = tuple[NDArray[np.float32], NDArray[np.float64]]


@pytest.fixture(scope="module")
def network(learned: Fitted) -> TorchNetwork:
    return from_arrays(learned.regressor, 0.5)


@pytest.fixture(scope="module")
def rows(standard: Vectors) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(standard[0][:100]), torch.from_numpy(standard[1][:100].astype(np.float32))


@pytest.mark.parametrize("rate", [3e-4, 3e-3, 3e-2])
def test_each_step_raises_the_loss(network: TorchNetwork, rows: tuple[torch.Tensor, torch.Tensor], rate: float) -> None:
    found = attack(network, *rows, torch.full((128,), 100.0), rate, 10)
    assert len(found.losses) == 11
    assert np.all(np.diff(found.losses) > 0.0)


def test_rows_move_no_further_than_the_steps_reach(
    network: TorchNetwork, rows: tuple[torch.Tensor, torch.Tensor]
) -> None:
    found = attack(network, *rows, torch.full((128,), 100.0), 3e-4, 10)
    moved = (found.x - rows[0]).abs()
    assert 0.0 < float(moved.max()) <= 10 * 3e-4 * 1.01


def test_dear_features_move_less_than_cheap_ones(
    network: TorchNetwork, rows: tuple[torch.Tensor, torch.Tensor]
) -> None:
    weights = torch.ones(128)
    even = (attack(network, *rows, weights, 1e-3, 10).x - rows[0]).abs().mean(dim=0)
    weights[64:] = 1000.0
    moved = (attack(network, *rows, weights, 1e-3, 10).x - rows[0]).abs().mean(dim=0)
    assert float((moved[64:] / even[64:]).mean()) < 0.5
    assert float((moved[:64] / even[:64]).mean()) > 0.9


def test_a_dearer_feature_would_have_moved_less(network: TorchNetwork, rows: tuple[torch.Tensor, torch.Tensor]) -> None:
    """∂x/∂w points back to the row wherever the ascent has gone straight away from it."""
    found = attack(network, *rows, torch.full((128,), 100.0), 3e-4, 10)
    against = (found.sensitivity * (found.x - rows[0])) <= 0.0
    assert float(against.double().mean()) > 0.95


def test_the_attack_sees_no_dropout_and_leaves_the_network_alone(
    network: TorchNetwork, rows: tuple[torch.Tensor, torch.Tensor]
) -> None:
    network.train()
    before = [value.detach().clone() for value in network.parameters()]
    first, again = (attack(network, *rows, torch.full((128,), 100.0), 3e-4, 5) for _ in range(2))
    assert torch.equal(first.x, again.x)
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    assert all(value.grad is None for value in network.parameters())


def test_features_without_a_slope_stay_where_they_are(rows: tuple[torch.Tensor, torch.Tensor]) -> None:
    flat = torch.nn.Linear(128, 1)
    torch.nn.init.zeros_(flat.weight)
    found = attack(TorchNetwork([], flat), *rows, torch.full((128,), 100.0), 0.1, 5)
    assert torch.equal(found.x, rows[0])
    assert torch.isfinite(found.sensitivity).all()
