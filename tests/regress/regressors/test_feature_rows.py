"""Rows by their numbers: read block by block, with the numbers of arrays and without copies of them."""

import tracemalloc
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from matrices import matrix_of
from numpy.typing import NDArray

from matlake.regress.heads import measure
from matlake.regress.heads.listing import card_lines
from matlake.regress.heads.train_result import TrainResult
from matlake.regress.regressors import MODELS, LabelledRows, feature_rows, fit_model, fit_of
from matlake.regress.regressors.feature_rows import as_array, row_blocks, take_rows
from matlake.regress.splits import HeldOut
from matlake.regress.uncertainty import conformal, fit_reference

Vectors = tuple[NDArray[np.float32], NDArray[np.float64]]
SMALL = 128 * 8 * 50  # bytes of 50 rows of 128 numbers


def test_rows_of_rows_share_the_matrix(vectors: Vectors) -> None:
    x, y = vectors
    rows = LabelledRows(x, y, np.arange(len(y)).astype(str))
    some = rows.take(np.arange(10, 100)).take(np.array([5, 0, 7]))
    assert some.features.matrix is x
    np.testing.assert_array_equal(some.x, x[[15, 10, 17]])
    np.testing.assert_array_equal(as_array(take_rows(x, y > 1.0)), x[y > 1.0])


def test_blocks_are_all_rows_in_order(vectors: Vectors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_rows, "BLOCK_BYTES", SMALL)
    x = vectors[0]
    backwards = take_rows(x, np.arange(len(x))[::-1])
    blocks = [block for _, block in row_blocks(backwards)]
    assert [len(block) for block in blocks] == [50] * 6 + [7]
    np.testing.assert_array_equal(np.concatenate(blocks), x[::-1])
    assert [len(block) for _, block in row_blocks(x[:0])] == [0]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("rows", [40, 300])
def test_ridge_is_that_of_scikit_learn_whatever_the_blocks(
    vectors: Vectors, monkeypatch: pytest.MonkeyPatch, rows: int, weighted: bool
) -> None:
    from sklearn.linear_model import Ridge

    monkeypatch.setattr(feature_rows, "BLOCK_BYTES", SMALL)
    x, y = vectors[0][:rows], vectors[1][:rows]
    weights = np.random.default_rng(0).random(rows) + 0.1 if weighted else None
    fitted = fit_model(MODELS["ridge"], {"alpha": 10.0}, take_rows(x, np.arange(rows)), y, 0, weights=weights)
    assert fitted.scaler is not None
    z, target = fitted.scaler.transform(x), (y - y.mean()) / y.std()
    plain = Ridge(alpha=10.0).fit(z, target, sample_weight=weights)
    assert fitted.regressor.coef_ == pytest.approx(plain.coef_, abs=1e-10)
    assert fitted.predict(x) == pytest.approx(plain.predict(z) * y.std() + y.mean(), abs=1e-10)


def test_features_that_are_copies_of_each_other_have_a_ridge_fit(vectors: Vectors) -> None:
    x = np.concatenate([vectors[0]] * 2, axis=1)
    fitted = fit_model(MODELS["ridge"], {"alpha": 1e-9}, x, vectors[1], 0)
    assert np.isfinite(fitted.predict(x)).all()


def test_a_ridge_fit_and_its_predictions_need_a_few_blocks_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_rows, "BLOCK_BYTES", 1 << 20)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40_000, 100)).astype(np.float32)  # 32 MB in float64
    rows = LabelledRows(x, x[:, 0] + x[:, 1].astype(np.float64), np.arange(len(x)).astype(str))
    fit = fit_of(MODELS["ridge"], {"alpha": 1.0}, 0)
    part = rows.take(np.arange(0, len(x), 2))
    tracemalloc.start()
    predicted = fit(part).predict(rows.features)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20
    assert predicted == pytest.approx(rows.y, abs=1e-2)


def test_the_learning_curve_of_many_rows_spans_more_and_costs_less(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = matrix_of([f"Fe{n}O{m}" for n in range(1, 41) for m in (n + 1, 2 * n + 1, 3 * n + 1, 5 * n + 1)])
    held_out = HeldOut("", np.arange(8, 160), np.arange(8), np.array([], dtype=np.intp), "")
    fitted: list[int] = []

    def fit(rows: LabelledRows) -> SimpleNamespace:
        fitted.append(len(rows))
        return SimpleNamespace(predict=lambda x: np.zeros(len(x)))

    monkeypatch.setattr(measure, "_FEWEST_ROWS", 1)
    few = [point.rows for point in measure.learning_curve(fit, matrix, held_out, 0)]
    monkeypatch.setattr(measure, "MANY_ROWS", 100)
    many = [point.rows for point in measure.learning_curve(fit, matrix, held_out, 0)]
    assert few == [19, 38, 76]
    assert many == [2, 10, 38]
    assert fitted == few + many


def test_many_training_rows_are_remembered_in_part(vectors: Vectors, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = vectors
    matrix = matrix_of([f"Fe{n}O{n + 1}" for n in range(1, len(y) + 1)], y, x)
    everything = fit_reference.choose_reference(matrix, np.arange(len(y)), 0)
    monkeypatch.setattr(fit_reference, "MAX_ROWS", 200)
    monkeypatch.setattr(fit_reference, "FIT_ROWS", 150)
    monkeypatch.setattr(conformal, "_SCALE_ROWS", 60)
    part = fit_reference.choose_reference(matrix, np.arange(len(y)), 0)
    assert len(everything.rows) == len(y)
    assert len(part.rows) == 200
    assert len(np.unique(part.rows)) == 200
    assert part.coordinates.shape == (200, 32)
    near = [fit.nearest_values(matrix, np.arange(len(y))) for fit in (everything, part)]
    assert np.abs(near[0] - y).mean() < np.abs(near[1] - y).mean()


def test_a_card_says_how_many_training_rows_are_remembered(trained: TrainResult) -> None:
    card = trained.card
    assert card.domain is not None
    text = "\n".join(card_lines(card, Path("nowhere")))
    assert f"reference     {card.evaluation.n_train:,} training rows\n" in text
    part = replace(card, domain=replace(card.domain, reference_rows=7))
    text = "\n".join(card_lines(part, Path("nowhere")))
    assert f"reference     7 of {card.evaluation.n_train:,} training rows, drawn at random" in text
