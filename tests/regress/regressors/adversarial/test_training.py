import json

import numpy as np
import pytest
from numpy.typing import NDArray

from matlake.errors import TrainingError
from matlake.networks.training_history import TrainingHistory
from matlake.regress.finetuning.plots import history_plots
from matlake.regress.onnx.convert import check_parity, convert
from matlake.regress.regressors import Fitted, Model, Parameters, fit_model
from matlake.regress.regressors.adversarial.settings import (
    USUAL,
    AdversarialSettings,
    adversarial_parameters,
    settings_of,
)
from matlake.regress.regressors.ir_net import IR_NET_17_KIND, IR_NET_KIND, ir_net_model
from matlake.regress.regressors.ir_net_numpy import ResidualNetwork
from matlake.regress.regressors.regressor import Regressor

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

from matlake.regress.regressors.adversarial.training import Learner, Samples, losses_of  # noqa: E402 - needs torch
from matlake.regress.regressors.ir_net_torch import from_arrays  # noqa: E402

Vectors = tuple[NDArray[np.float32], NDArray[np.float64]]


def small(method: str, widths: tuple[int, ...] = (64, 32), **changes: object) -> tuple[Model, Parameters]:
    model = ir_net_model(IR_NET_KIND, widths, adversarial_parameters(method))
    return model, {**model.grid(128)[0], "epochs": 15, "dropout": 0.1, **changes}


def history_of(regressor: Regressor) -> TrainingHistory:
    assert isinstance(regressor, ResidualNetwork)
    assert regressor.history is not None
    return regressor.history


@pytest.fixture(scope="module")
def cal(vectors: Vectors) -> Fitted:
    return fit_model(*small("cal"), vectors[0][:240], vectors[1][:240], seed=0)


def test_a_cal_head_beats_the_mean_and_survives_the_conversion(cal: Fitted, vectors: Vectors) -> None:
    x, y = vectors
    error = np.abs(cal.predict(x[240:]) - y[240:]).mean()
    assert error < 0.85 * np.abs(y[:240].mean() - y[240:]).mean()
    assert check_parity(convert(cal, 128), cal, x) <= 1e-5


def test_sal_learns_from_adversarial_samples_alone(vectors: Vectors) -> None:
    x, y = vectors
    model, parameters = small("sal", epochs=30, theta_rate=3e-3)
    fitted = fit_model(model, parameters, x[:240], y[:240], seed=0)
    history = history_of(fitted.regressor)
    assert all(epoch.train_loss is None and epoch.attack is not None for epoch in history.epochs)
    error = np.abs(fitted.predict(x[240:]) - y[240:]).mean()
    assert error < 0.9 * np.abs(y[:240].mean() - y[240:]).mean()


def test_the_history_has_a_warm_up_attacks_and_weights(cal: Fitted) -> None:
    history = history_of(cal.regressor)
    # 216 rows are seven steps an epoch: an attack comes every second one
    attacked_in = [number for number, epoch in enumerate(history.epochs, start=1) if epoch.attack is not None]
    assert attacked_in == list(range(6, len(history.epochs) + 1, 2))
    attacked = [epoch.attack for epoch in history.epochs[5::2]]
    assert all(attack.attacked > attack.clean for attack in attacked if attack is not None)
    assert all(epoch.train_loss is not None for epoch in history.epochs)
    assert history.weights is not None
    assert history.weights.shape == (len(attacked) + 1, 128)
    assert set(history.weights[0].tolist()) == {100.0}
    steps = np.abs(np.diff(history.weights, axis=0)).max(axis=1)
    assert steps[0] == pytest.approx(20.0, abs=1e-3)
    assert steps.max() <= 20.0 + 1e-3
    assert attacked[0] is not None
    assert attacked[0].gamma == pytest.approx(0.01)


def test_the_worst_rows_are_attacked(learned: Fitted, standard: Vectors) -> None:
    network = from_arrays(learned.regressor, 0.0)
    x, y = torch.from_numpy(standard[0]), torch.from_numpy(standard[1].astype(np.float32))
    samples = Samples(network, x, y, 3e-4, seed=0)
    worst = samples.worst(0.2)
    losses = losses_of(network, x, y)
    assert len(worst) == round(0.2 * len(x))
    others = np.setdiff1d(np.arange(len(x)), worst.numpy())
    assert float(losses[worst].min()) >= float(losses[others].max())
    drawn = list(samples.batches(worst, 16, 2))
    assert [len(batch) for batch in drawn] == [16, 16]
    assert set(torch.cat(drawn).tolist()) <= set(worst.tolist())


def test_without_steps_of_the_attack_rows_and_costs_stay_as_they_are(learned: Fitted, standard: Vectors) -> None:
    network = from_arrays(learned.regressor, 0.0)
    before = network.arrays()
    x, y = torch.from_numpy(standard[0]), torch.from_numpy(standard[1].astype(np.float32))
    learner = Learner(network, x, y, AdversarialSettings(warm_up=0, attack_steps=0), seed=0)
    found = learner.turn(1, 1.0)
    assert found is not None
    assert found.attacked == pytest.approx(found.clean, rel=1e-6)
    assert set(learner.weights.ravel().tolist()) == {100.0}
    assert not np.array_equal(network.arrays().output[0], before.output[0])


def test_only_the_worst_rows_train_after_the_warm_up_where_that_is_asked(learned: Fitted, standard: Vectors) -> None:
    network = from_arrays(learned.regressor, 0.0)
    x, y = torch.from_numpy(standard[0]), torch.from_numpy(standard[1].astype(np.float32))
    counts = {}
    for clean in ("all", "worst", "none"):
        learner = Learner(network, x, y, AdversarialSettings(clean=clean), seed=0)
        counts[clean] = [None if (rows := learner.rows(epoch)) is None else len(rows) for epoch in (5, 6)]
    assert counts == {"all": [None, None], "worst": [None, round(0.2 * len(x))], "none": [None, 0]}


def test_rows_without_labels_are_attacked_towards_another_prediction(learned: Fitted, standard: Vectors) -> None:
    network = from_arrays(learned.regressor, 0.0)
    x, y = torch.from_numpy(standard[0]), torch.from_numpy(standard[1].astype(np.float32))
    samples = Samples(network, x[150:], None, 3e-3, seed=0)
    network.eval()
    assert torch.equal(samples.targets(), network(x[150:]).detach())
    found = Learner(network, x[:150], y[:150], AdversarialSettings(warm_up=0), 0, samples).turn(1, 1.0)
    assert found is not None
    assert found.attacked > found.clean > 0.0


def test_one_seed_gives_one_head(vectors: Vectors) -> None:
    for method, epochs in (("cal", 7), ("sal", 2)):
        model, parameters = small(method, epochs=epochs)
        first, again, other = (convert(fit_model(model, parameters, *vectors, seed), 128) for seed in (0, 0, 1))
        assert first == again != other


@pytest.mark.parametrize("method", ["cal", "sal"])
@pytest.mark.parametrize("rows", [3, 12, 40])
def test_constant_features_few_rows_and_wild_attacks_give_numbers(vectors: Vectors, method: str, rows: int) -> None:
    x, y = vectors[0][:rows].copy(), vectors[1][:rows]
    x[:, :40] = 3.0
    model, parameters = small(method, epochs=5, attack_rate=10.0, warm_up=1, theta_rate=0.1)
    fitted = fit_model(model, parameters, x, y, seed=0)
    assert np.isfinite(fitted.predict(vectors[0])).all()
    weights = history_of(fitted.regressor).weights
    assert weights is not None
    assert np.isfinite(weights).all()
    assert weights.min() >= 1.0


def test_batch_normalisation_keeps_the_statistics_of_real_rows(vectors: Vectors) -> None:
    x, y = vectors
    model = ir_net_model(IR_NET_17_KIND, (32, 32), adversarial_parameters("cal"))
    fitted = fit_model(model, {**model.grid(128)[0], "epochs": 8}, x[:240], y[:240], seed=0)
    assert check_parity(convert(fitted, 128), fitted, x) <= 1e-5
    error = np.abs(fitted.predict(x[240:]) - y[240:]).mean()
    assert error < np.abs(y[:240].mean() - y[240:]).mean()


def test_the_parameters_tell_the_method_and_its_constants() -> None:
    model = ir_net_model(IR_NET_KIND, None, adversarial_parameters("cal"))
    (parameters,) = json.loads(json.dumps(model.grid(145)))
    assert (parameters["adversarial"], parameters["warm_up"], parameters["share"]) == ("cal", 5, 0.2)
    assert (parameters["attack_rate"], parameters["attack_steps"], parameters["batch"]) == (3e-4, 10, 256)
    assert settings_of(parameters) == USUAL["cal"]
    with pytest.raises(TrainingError, match="unknown adversarial method 'gan'"):
        adversarial_parameters("gan")


def test_losses_and_weights_are_drawn(cal: Fitted) -> None:
    plots = history_plots(cal.regressor)
    assert sorted(plots) == ["training.png", "training.svg", "transport_costs.png", "transport_costs.svg"]
    assert plots["training.png"].startswith(b"\x89PNG")
    assert b"worst rows after the attack" in plots["training.svg"]
    assert b"Transport cost w of a feature" in plots["transport_costs.svg"]
    assert history_plots(object()) == {}
