from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from matlake import extras
from matlake.errors import MissingExtraError
from matlake.regress.regressors.elemnet_numpy import Layers, ReluNetwork, fresh_layers
from matlake.regress.regressors.elemnet_training import train_layers
from matlake.regress.regressors.regressor import Rows
from matlake.regress.regressors.training_settings import TrainingSettings, batch_rows

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

SETTINGS = TrainingSettings(learning_rate=3e-3, epochs=8, steps=1000, patience=8)
WIDTHS = (128, 64, 32, 16, 1)


@pytest.fixture(scope="module")
def parts(vectors: tuple[NDArray[np.float32], NDArray[np.float64]]) -> tuple[Rows, Rows]:
    """Rows to fit and rows to judge by: standardised embeddings and band gaps."""
    x, y = vectors
    x = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-6)
    y = (y - y.mean()) / y.std()
    return (x[:240], y[:240]), (x[240:], y[240:])


def error(layers: Layers, rows: Rows) -> float:
    return float(np.abs(ReluNetwork(layers).predict(rows[0]) - rows[1]).mean())


def test_a_training_beats_its_start_and_the_mean(parts: tuple[Rows, Rows]) -> None:
    start = fresh_layers(WIDTHS, 0)
    found = train_layers(start, *parts, SETTINGS, seed=0)
    assert error(found, parts[1]) < 0.85 * np.abs(parts[1][1]).mean()
    assert error(found, parts[1]) < error(start, parts[1])
    assert [weights.shape for weights, _ in found] == list(pairwise(WIDTHS))


def test_one_seed_gives_one_network_and_another_seed_another(parts: tuple[Rows, Rows]) -> None:
    before = torch.random.get_rng_state()
    first, again, other = (train_layers(fresh_layers(WIDTHS, 0), *parts, SETTINGS, seed) for seed in (1, 1, 2))
    assert all(
        np.array_equal(a, b) for one, two in zip(first, again, strict=True) for a, b in zip(one, two, strict=True)
    )
    assert not np.array_equal(first[0][0], other[0][0])
    assert torch.equal(torch.random.get_rng_state(), before)


def test_the_epoch_with_the_smallest_error_on_the_judging_rows_is_kept(parts: tuple[Rows, Rows]) -> None:
    """With one epoch more the training may get worse, and what is kept may not."""
    wild = replace(SETTINGS, learning_rate=0.3, epochs=6)
    start = train_layers(fresh_layers(WIDTHS, 0), *parts, SETTINGS, seed=0)
    assert error(train_layers(start, *parts, wild, seed=0), parts[1]) <= error(start, parts[1])


def test_patience_ends_a_training_that_gets_no_better(
    parts: tuple[Rows, Rows], monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    real = torch.optim.AdamW.step

    def counted(self: torch.optim.AdamW) -> None:
        steps.append(1)
        real(self)

    monkeypatch.setattr(torch.optim.AdamW, "step", counted)
    start = train_layers(fresh_layers(WIDTHS, 0), *parts, SETTINGS, seed=0)
    an_epoch = -(-240 // batch_rows(240))
    assert len(steps) == SETTINGS.epochs * an_epoch
    steps.clear()
    train_layers(start, *parts, replace(SETTINGS, learning_rate=1.0, epochs=50, patience=3), seed=0)
    assert len(steps) == 3 * an_epoch
    steps.clear()
    train_layers(start, *parts, replace(SETTINGS, steps=2 * an_epoch, epochs=50), seed=0)
    assert len(steps) == 2 * an_epoch


def test_frozen_layers_keep_their_weights_and_those_behind_learn(parts: tuple[Rows, Rows]) -> None:
    start = fresh_layers(WIDTHS, 0)
    found = train_layers(start, *parts, SETTINGS, seed=0, frozen=3)
    assert all(
        np.array_equal(a, b)
        for one, two in zip(found[:3], start[:3], strict=True)
        for a, b in zip(one, two, strict=True)
    )
    assert error(found, parts[1]) < 0.9 * np.abs(parts[1][1]).mean()


def test_a_frozen_training_of_no_steps_worth_leaves_the_function_as_it_is(parts: tuple[Rows, Rows]) -> None:
    """Activations are standardised for the training, and what is returned takes them as they are."""
    start = train_layers(fresh_layers(WIDTHS, 0), *parts, SETTINGS, seed=0)
    found = train_layers(start, *parts, replace(SETTINGS, learning_rate=0.0, epochs=1), seed=0, frozen=2)
    x = parts[1][0]
    assert ReluNetwork(found).predict(x) == pytest.approx(ReluNetwork(start).predict(x), abs=1e-4)


def test_threads_stay_as_they_were_set(parts: tuple[Rows, Rows]) -> None:
    before = torch.get_num_threads()
    train_layers(fresh_layers(WIDTHS, 0), *parts, replace(SETTINGS, epochs=1), seed=0)
    assert torch.get_num_threads() == before


def test_batches_grow_with_the_rows() -> None:
    sizes = [batch_rows(rows) for rows in (500, 2000, 2001, 20_000, 10**6)]
    assert sizes == sorted(sizes)
    assert sizes[0] == 32
    assert sizes[-1] == 256


def test_without_torch_the_extra_is_named(parts: tuple[Rows, Rows], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda _: False)
    with pytest.raises(MissingExtraError, match="needs torch") as caught:
        train_layers(fresh_layers(WIDTHS, 0), *parts, SETTINGS, seed=0)
    assert "matlake[train]" in caught.value.hint
