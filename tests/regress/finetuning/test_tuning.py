import numpy as np
import pytest
from numpy.typing import NDArray

from matlake.errors import TrainingError
from matlake.regress.finetuning.tuning import TUNINGS, Tuning, tune
from matlake.regress.onnx.convert import check_parity, convert
from matlake.regress.regressors import MODELS, Fitted, fit_model
from matlake.regress.regressors.training_settings import TrainingSettings

pytest.importorskip("torch", reason="needs the extra 'train'")

from matlake.regress.regressors import ir_net_training

Vectors = tuple[NDArray[np.float32], NDArray[np.float64]]
Domain = dict[str, Vectors]

TRAINING = TrainingSettings(learning_rate=1e-3, epochs=20, steps=800, patience=20)


@pytest.fixture(scope="module")
def domain(vectors: Vectors) -> Domain:
    """Rows the network has learned from, rows of a target domain of larger gaps to tune on, and others to test on."""
    x, y = vectors
    new = np.arange(150, len(y))[y[150:] > 2.0]
    own = np.arange(150)
    return {name: (x[rows], y[rows]) for name, rows in (("own", own), ("tune", new[::2]), ("test", new[1::2]))}


def error(fitted: Fitted, rows: Vectors) -> float:
    return float(np.abs(fitted.predict(rows[0]) - rows[1]).mean())


@pytest.mark.parametrize("method", ["plain", "cal"])
def test_tuning_on_labelled_rows_lowers_the_error_on_others_of_their_domain(
    method: str, learned: Fitted, domain: Domain
) -> None:
    found = tune(learned, Tuning(method, TRAINING, dropout=0.1), domain["tune"], None, seed=0)
    assert error(found.kept, domain["test"]) < 0.95 * error(learned, domain["test"])
    assert found.kept.scaler is learned.scaler
    assert (found.kept.mean, found.kept.std) == (learned.mean, learned.std)
    history = found.kept.regressor.history
    attacked = [epoch.attack is not None for epoch in history.epochs]
    assert any(attacked) == attacked[0] == (method == "cal")


def test_tuning_on_inputs_uses_no_label_of_the_target(learned: Fitted, domain: Domain) -> None:
    x, y = domain["tune"]
    tuning = Tuning("cal-inputs", TRAINING, dropout=0.1)
    found, shuffled = (tune(learned, tuning, (x, labels), domain["own"], seed=0) for labels in (y, y[::-1] * 100.0))
    assert np.array_equal(found.kept.predict(x), shuffled.kept.predict(x))
    assert found.kept is found.last
    assert error(found.kept, domain["own"]) < 1.2 * error(learned, domain["own"])
    assert not np.array_equal(found.kept.predict(x), learned.predict(x))


def test_few_rows_do_not_choose_the_epoch(
    learned: Fitted, domain: Domain, vectors: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ir_net_training, "CHOOSING_ROWS", 20)
    tuning = Tuning("plain", TrainingSettings(1e-3, 4, 100, 1))
    few, many = (tune(learned, tuning, rows, None, seed=0) for rows in (domain["tune"], vectors))
    assert few.kept is few.last
    assert len(few.last.regressor.history.epochs) == 4
    assert many.kept is many.best


@pytest.mark.parametrize("method", TUNINGS)
def test_one_seed_gives_one_network(method: str, learned: Fitted, domain: Domain) -> None:
    tuning = Tuning(method, TrainingSettings(1e-3, 2, 100, 5))
    first, again, other = (
        convert(tune(learned, tuning, domain["tune"], domain["own"], seed).last, 128) for seed in (0, 0, 1)
    )
    assert first == again != other


@pytest.mark.parametrize("method", TUNINGS)
def test_a_handful_of_equal_rows_gives_numbers(method: str, learned: Fitted, domain: Domain) -> None:
    x, y = domain["tune"]
    few = (x[:1].repeat(4, axis=0), y[:1].repeat(4))
    found = tune(learned, Tuning(method, TrainingSettings(1e-3, 3, 100, 5)), few, domain["own"], seed=0)
    assert np.isfinite(found.last.predict(x)).all()
    assert check_parity(convert(found.best, 128), found.best, x) <= 1e-4


def test_the_parameters_say_how_it_was_done() -> None:
    plain, cal = Tuning("plain").document(), Tuning("cal").document()
    assert plain["method"] == "plain"
    assert "attack_rate" not in plain
    assert (cal["attack_rate"], cal["warm_up"], cal["share"]) == (3e-4, 0, 1.0)


def test_what_cannot_be_tuned_is_refused(learned: Fitted, domain: Domain) -> None:
    ridge = fit_model(MODELS["ridge"], {"alpha": 1.0}, *domain["own"], seed=0)
    with pytest.raises(TrainingError, match="unknown method of fine-tuning 'gan'"):
        tune(learned, Tuning("gan"), domain["tune"], None, seed=0)
    with pytest.raises(TrainingError, match="Ridge is not an IR-net"):
        tune(ridge, Tuning("plain"), domain["tune"], None, seed=0)
    with pytest.raises(TrainingError, match="needs rows with labels"):
        tune(learned, Tuning("cal-inputs"), domain["tune"], None, seed=0)
