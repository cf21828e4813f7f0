import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from matlake.regress.regressors.adversarial.transport import (  # noqa: E402 - needs torch
    FLOOR,
    Weights,
    environment_losses,
    mixed_derivative,
    risk,
    risk_slope,
    weight_slope,
)
from matlake.regress.regressors.ir_net_torch import TorchNetwork, fresh_network  # noqa: E402

Rows = tuple[torch.Tensor, torch.Tensor]
RATE = 0.01


@pytest.fixture(scope="module", params=["layer", "batch"])
def network(request: pytest.FixtureRequest) -> TorchNetwork:
    return fresh_network(6, (8, 5), request.param, 0.0, projected=True, seed=1).double().eval()


@pytest.fixture(scope="module")
def rows() -> Rows:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn((12, 6), generator=generator, dtype=torch.float64)
    return x, torch.tanh(x[:, 0] * x[:, 1]) + 0.1 * x[:, 2]


def theta(network: TorchNetwork) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in network.named_parameters()}


def loss_slope(network: TorchNetwork, x: torch.Tensor, y: torch.Tensor) -> list[torch.Tensor]:
    loss = torch.nn.functional.smooth_l1_loss(network(x), y)
    return list(torch.autograd.grad(loss, list(network.parameters())))


def test_the_mixed_second_derivative_is_that_of_finite_differences(network: TorchNetwork, rows: Rows) -> None:
    x, y = rows
    generator = torch.Generator().manual_seed(2)
    direction = [torch.randn(p.shape, generator=generator, dtype=torch.float64) for p in network.parameters()]
    found = mixed_derivative(network, theta(network), x, y, direction)
    expected, step = torch.zeros_like(x), 1e-6
    for row in range(len(x)):
        for column in range(x.shape[1]):
            along = []
            for sign in (1.0, -1.0):
                moved = x.clone()
                moved[row, column] += sign * step
                slopes = loss_slope(network, moved, y)
                along.append(sum(float((s * d).sum()) for s, d in zip(slopes, direction, strict=True)))
            expected[row, column] = (along[0] - along[1]) / (2.0 * step)
    assert float(expected.abs().max()) > 0.01
    assert found.numpy() == pytest.approx(expected.numpy(), abs=1e-7)


def test_the_slope_of_the_risk_by_the_weights_is_that_of_finite_differences(network: TorchNetwork, rows: Rows) -> None:
    """Weights move the samples, samples move the network, and the network changes the risk on other rows."""
    x, y = rows
    environments = torch.arange(len(x)) % 3
    sensitivity = torch.randn(x.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    before = theta(network)

    def after(offset: torch.Tensor) -> dict[str, torch.Tensor]:
        slopes = loss_slope(network, x + sensitivity * offset, y)
        return {name: value - RATE * slope for (name, value), slope in zip(before.items(), slopes, strict=True)}

    def risk_after(offset: torch.Tensor) -> float:
        network.load_state_dict(after(offset), strict=False)
        value = risk(environment_losses(network, x.flip(0), y.flip(0), environments), 0.5).item()
        network.load_state_dict(before, strict=False)
        return value

    network.load_state_dict(after(torch.zeros(6, dtype=torch.float64)), strict=False)
    slope = risk_slope(network, x.flip(0), y.flip(0), environments, 0.5)
    network.load_state_dict(before, strict=False)
    found = weight_slope(network, [before], x, y, sensitivity, slope, RATE)
    unit, step = torch.eye(6, dtype=torch.float64), 1e-5
    expected = [(risk_after(step * unit[i]) - risk_after(-step * unit[i])) / (2.0 * step) for i in range(6)]
    assert np.abs(expected).max() > 1e-5
    assert found.numpy() == pytest.approx(np.array(expected), abs=1e-8, rel=1e-3)


def test_the_risk_adds_what_lies_between_the_environments() -> None:
    losses = torch.tensor([0.5, 0.1, 0.3])
    assert float(risk(losses, 0.0)) == pytest.approx(0.9)
    assert float(risk(losses, 0.5)) == pytest.approx(0.9 + 0.5 * 0.4)
    assert float(risk(losses[:1], 0.5)) == pytest.approx(0.5)


def test_environments_weigh_alike_whatever_their_rows(network: TorchNetwork, rows: Rows) -> None:
    x, y = rows
    environments = torch.tensor([0] * 9 + [2] * 3)
    found = environment_losses(network, x, y, environments)
    each = torch.nn.functional.smooth_l1_loss(network(x), y, reduction="none")
    assert found.tolist() == pytest.approx([each[:9].mean().item(), each[9:].mean().item()])


def test_weights_take_the_step_in_the_steepest_feature_and_less_in_others() -> None:
    weights = Weights(3, first=100.0, step=20.0)
    weights.update(torch.tensor([2.0, -1.0, 0.0]))
    assert weights.values.tolist() == [80.0, 110.0, 100.0]
    assert weights.gamma == pytest.approx(1 / 80)


def test_weights_stay_in_bounds_and_a_frozen_one_stays_frozen() -> None:
    weights, generator = Weights(40, first=100.0, step=20.0), torch.Generator().manual_seed(0)
    seen_frozen = torch.zeros(40, dtype=torch.bool)
    for _ in range(60):
        weights.update(torch.randn(40, generator=generator))
        assert bool((weights.values >= FLOOR).all())
        assert bool((weights.values[seen_frozen] == FLOOR).all())
        seen_frozen |= weights.frozen
    assert 0 < int(seen_frozen.sum()) < 40
    assert torch.equal(seen_frozen, weights.frozen)
    assert weights.gamma == pytest.approx(1.0 / FLOOR)


@pytest.mark.parametrize("slope", [0.0, float("nan"), float("inf")])
def test_what_is_no_slope_moves_no_weight(slope: float) -> None:
    weights = Weights(3, first=100.0, step=20.0)
    weights.update(torch.tensor([slope, 0.0, 0.0]))
    assert weights.values.tolist() == [100.0] * 3
