import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from matlake.encoders.registry import find_encoder
from matlake.encoders.session import audit
from matlake.errors import EncoderError, HeadError, TrainingError
from matlake.materials.compositions import element_fractions
from matlake.materials.formula import parse_formula
from matlake.regress.onnx.convert import check_parity, convert
from matlake.regress.regressors import MODELS, Fitted, elemnet, fit_model
from matlake.regress.regressors.elemnet import ELEMNET, Source, TransferMethod, fine_tuned
from matlake.regress.regressors.elemnet_numpy import ReluNetwork
from matlake.regress.regressors.fitting import fit_deep, split_off
from matlake.regress.regressors.pretrained_layers import read_source_layers

pytest.importorskip("torch", reason="needs the extra 'train'")

SOURCE = "elemnet-oqmd-formation-energy"
Vectors = tuple[NDArray[np.float32], NDArray[np.float64]]


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
