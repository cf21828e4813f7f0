import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from matlake import extras
from matlake.encoders.registry import find_encoder
from matlake.encoders.session import audit
from matlake.errors import EncoderError, HeadError, MissingExtraError, TrainingError
from matlake.materials.compositions import element_fractions
from matlake.materials.formula import parse_formula
from matlake.regress.onnx.convert import check_parity, convert
from matlake.regress.regressors import MODELS, Fitted, elemnet, fit_model
from matlake.regress.regressors.elemnet import ELEMNET, Source, TransferMethod, fine_tuned, train_layers
from matlake.regress.regressors.elemnet_numpy import Layers, ReluNetwork, fresh_layers
from matlake.regress.regressors.fitting import fit_deep, split_off
from matlake.regress.regressors.pretrained_layers import read_source_layers
from matlake.regress.regressors.regressor import Rows
from matlake.regress.regressors.training_settings import TrainingSettings, batch_rows

torch = pytest.importorskip("torch", reason="needs the extra 'train'")

SOURCE = "elemnet-oqmd-formation-energy"
Vectors = tuple[NDArray[np.float32], NDArray[np.float64]]
SETTINGS = TrainingSettings(learning_rate=3e-3, epochs=8, steps=1000, patience=8)
WIDTHS = (128, 64, 32, 16, 1)


@pytest.fixture(scope="module")
def source() -> Source:
    found = find_encoder(SOURCE)
    return Source(found.card.name, found.card.sha256, read_source_layers(found.folder))


@pytest.fixture(scope="module")
def rows(gaps: Path) -> Vectors:
    """Element fractions [307, 86] and band gaps [307]."""
    table = pq.read_table(gaps)
    fractions = element_fractions([parse_formula(text) for text in table["formula"].to_pylist()])
    return fractions, table["band_gap_eV"].to_numpy()


@pytest.fixture(scope="module")
def tuned(source: Source, rows: Vectors) -> dict[str, Fitted]:
    """A network of each method, trained on 220 rows and judged on 27, all its layers for eight epochs only."""
    x, y = rows
    found = {}
    for method in TransferMethod:
        model = fine_tuned(method, source)
        parameters = {**model.grid(86)[0], "epochs": 100 if method == "freezing" else 8}
        found[method] = fit_deep(model, x[:220], y[:220], x[220:247], y[220:247], 0, parameters)
    return found


def layers_of(fitted: Fitted) -> list[NDArray[np.float32]]:
    return [weights for weights, _ in fitted.regressor.layers]


@pytest.mark.parametrize("method", TransferMethod)
def test_a_tuned_network_beats_the_mean_on_rows_it_has_not_seen(
    method: str, tuned: dict[str, Fitted], rows: Vectors
) -> None:
    x, y = rows
    error = np.abs(tuned[method].predict(x[247:]) - y[247:]).mean()
    assert error < 0.85 * np.abs(y[:220].mean() - y[247:]).mean()


def test_each_way_trains_what_it_says(tuned: dict[str, Fitted], source: Source) -> None:
    given = [weights for weights, _ in source.layers]
    for method, moved in (("fine-tune", 16), ("mod-fine-tune", 16), ("freezing", 0)):
        found = layers_of(tuned[method])
        assert sum(not np.array_equal(a, b) for a, b in zip(found[:-1], given[:-1], strict=True)) == moved
        assert not np.array_equal(found[-1], given[-1])
    change = np.abs(layers_of(tuned["fine-tune"])[1] - given[1]).mean() / np.abs(given[1]).mean()
    assert change < 0.2


def test_fine_tuning_starts_at_the_sources_prediction_in_the_scale_of_the_target(
    source: Source, rows: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = {}
    monkeypatch.setattr(elemnet, "train_layers", lambda start, *_: starts.setdefault("start", start))
    fit_model(fine_tuned(TransferMethod.FINE_TUNE, source), elemnet.TUNED, *rows, seed=0)
    fitted_rows, _ = split_off(rows[0], 0)
    begun = ReluNetwork(starts["start"]).predict(rows[0][fitted_rows])
    assert (begun.mean(), begun.std()) == (pytest.approx(0.0, abs=1e-4), pytest.approx(1.0, abs=1e-4))
    assert np.corrcoef(begun, ReluNetwork(source.layers).predict(rows[0][fitted_rows]))[0, 1] == pytest.approx(1.0)


@pytest.mark.parametrize("method", TransferMethod)
def test_a_tuned_network_survives_the_conversion_in_float32(
    method: str, tuned: dict[str, Fitted], rows: Vectors
) -> None:
    content = convert(tuned[method], 86)
    assert check_parity(content, tuned[method], rows[0]) <= 1e-5
    assert len(content) < 4.1 * 4_631_361
    audit(content, Path("head.onnx"), HeadError)
    assert [value.name for value in onnx.load_model_from_string(content).graph.input] == ["features"]


def test_elemnet_learns_from_any_features_and_survives_the_conversion(
    vectors: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elemnet, "HIDDEN_WIDTHS", (64, 32))
    x, y = vectors
    parameters = {**ELEMNET.grid(x.shape[1])[0], "learning_rate": 3e-3}
    fitted = fit_model(MODELS["elemnet"], parameters, x[:240], y[:240], seed=0)
    error = np.abs(fitted.predict(x[240:]) - y[240:]).mean()
    assert error < 0.85 * np.abs(y[:240].mean() - y[240:]).mean()
    assert fitted.scaler is not None
    content = convert(fitted, x.shape[1])
    assert check_parity(content, fitted, x) <= 1e-5
    assert content == convert(fit_model(ELEMNET, parameters, x[:240], y[:240], seed=0), x.shape[1])


def test_elemnet_has_the_widths_of_the_paper(vectors: Vectors) -> None:
    x, y = vectors
    fitted = fit_model(ELEMNET, {**ELEMNET.grid(128)[0], "epochs": 1}, x[:40], y[:40], seed=0)
    widths = [len(biases) for _, biases in fitted.regressor.layers]
    assert widths == [*[1024] * 4, *[512] * 3, *[256] * 3, *[128] * 3, *[64] * 2, 32, 1]


def test_the_card_says_which_weights_a_training_began_with(source: Source) -> None:
    for method in TransferMethod:
        model = fine_tuned(method, source)
        (parameters,) = json.loads(json.dumps(model.grid(86)))
        assert (parameters["source"], parameters["source_sha256"]) == (SOURCE, source.sha256)
        assert model.name == f"{method}:{SOURCE}"
        assert not model.scaled


def test_the_output_of_several_properties_cannot_be_kept_but_drawn_anew(source: Source) -> None:
    weights, biases = source.layers[-1]
    several = replace(source, layers=(*source.layers[:-1], (np.tile(weights, 3), np.tile(biases, 3))))
    with pytest.raises(EncoderError, match="predicts 3 properties"):
        fine_tuned(TransferMethod.FINE_TUNE, several)
    assert fine_tuned(TransferMethod.MOD_FINE_TUNE, several).slow


def test_rows_with_equal_features_stay_on_one_side(rows: Vectors) -> None:
    x = np.concatenate([rows[0], rows[0][:100]])
    fit, aside = split_off(x, 3)
    assert sorted([*fit, *aside]) == list(range(len(x)))
    assert 0.08 <= len(aside) / len(x) <= 0.13
    assert not {row.tobytes() for row in x[fit]} & {row.tobytes() for row in x[aside]}
    assert not np.array_equal(split_off(x, 4)[1], aside)
    assert [len(part) for part in split_off(x[:1].repeat(5, axis=0), 0)] == [5, 5]


def test_what_cannot_be_trained_so_is_refused(rows: Vectors, source: Source) -> None:
    x, y = rows
    with pytest.raises(TrainingError, match="ridge is not a deep network"):
        fit_deep(MODELS["ridge"], x, y, x, y, 0)
    with pytest.raises(TrainingError, match="no rows are given that end the training"):
        fit_deep(fine_tuned(TransferMethod.FREEZING, source), x, y, x[:0], y[:0], 0)


@pytest.fixture(scope="module")
def parts(vectors: Vectors) -> tuple[Rows, Rows]:
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
