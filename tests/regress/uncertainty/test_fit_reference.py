"""Intervals, out-of-distribution scores and remembered rows, on real band gaps."""

import json
from dataclasses import replace

import numpy as np
import pytest
from calibrations import calibration_of

import matlake
from matlake.errors import HeadError
from matlake.regress.features.feature import resolve_features
from matlake.regress.features.matrix import Matrix, read_matrix
from matlake.regress.heads.request import TrainRequest
from matlake.regress.heads.storage import load_head
from matlake.regress.heads.train import train
from matlake.regress.heads.train_result import TrainResult
from matlake.regress.prediction.predict import predict
from matlake.regress.regressors import MODELS, LabelledRows, fit_of
from matlake.regress.uncertainty.conformal import signed_quantiles
from matlake.regress.uncertainty.fit_reference import choose_reference
from matlake.regress.uncertainty.out_of_fold import ALL_FOLDS_ROWS, predict_out_of_fold
from matlake.regress.uncertainty.reference_set import Reference, Surroundings
from matlake.text_tables import plain_lines

FEATURE = "elemnet-oqmd-formation-energy@13"


fit_ridge = fit_of(MODELS["ridge"], {"alpha": 100.0}, seed=0)


@pytest.fixture(scope="module")
def matrix(embedded: matlake.Lake) -> Matrix:
    return read_matrix(embedded, "band_gap_eV", resolve_features(embedded, [FEATURE]))


def test_one_is_the_95th_percentile_of_what_training_rows_would_score_as_strangers(matrix: Matrix) -> None:
    rows = np.arange(len(matrix.y))
    remembered = choose_reference(matrix, rows, seed=0)
    strangers = []
    for row in rows:
        others = np.flatnonzero(matrix.groups != matrix.groups[row])
        distances = np.linalg.norm(remembered.coordinates[others] - remembered.coordinates[row], axis=1)
        strangers.append(np.sort(distances)[:5].mean())
    assert np.quantile(strangers, 0.95) == pytest.approx(1.0, rel=1e-3)


def test_predictions_out_of_fold_are_those_of_models_that_lack_the_composition(matrix: Matrix) -> None:
    y, twice = np.tile(matrix.y, 2), np.tile(matrix.x, (2, 1))
    groups, fractions = np.tile(matrix.groups, 2), np.tile(matrix.fractions, (2, 1))
    fit = fit_of(MODELS["knn"], {"n_neighbors": 1}, seed=0)
    found = predict_out_of_fold(fit, LabelledRows(twice, y, groups), fractions, 0)
    for predicted in (found.predicted, found.far):
        assert np.isfinite(predicted).all()
        assert np.abs(predicted - y).mean() > 0.3  # a copy of a row on the other side would make it zero
    assert np.abs(found.far - y).mean() > np.abs(found.predicted - y).mean()  # whole clusters are further away


def test_a_large_set_is_calibrated_on_one_fold_of_either_kind(matrix: Matrix, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matlake.regress.uncertainty.out_of_fold.ALL_FOLDS_ROWS", 100)
    rows = np.arange(len(matrix.y))
    calibrated = calibration_of(matrix, rows, fit_ridge)
    known = np.isfinite(calibrated.out_of_fold.predicted)
    assert 0.1 < known.mean() < 0.3
    assert 0.0 < np.isfinite(calibrated.out_of_fold.far).mean() < 0.8
    assert calibrated.found.interval.calibration_rows == known.sum() < len(matrix.y) < ALL_FOLDS_ROWS
    assert np.isfinite(calibrated.estimates(rows[:50]).expected_errors).all()


def test_intervals_hold_what_they_promise_on_exchangeable_rows(matrix: Matrix) -> None:
    """Over random halves of real band gaps, nine of ten values are in their interval, as many below as above."""
    below, above, expected, errors = [], [], [], []
    for seed in range(8):
        order = np.random.default_rng(seed).permutation(len(matrix.y))
        rows, test = np.sort(order[: len(order) // 2]), order[len(order) // 2 :]
        found = calibration_of(matrix, rows, fit_ridge, seed=seed).estimates(test)
        y = matrix.y[test]
        below.append(np.mean(y < found.lower))
        above.append(np.mean(y > found.upper))
        expected.append(found.expected_errors)
        errors.append(np.abs(fit_ridge(matrix.labelled(rows)).predict(matrix.x[test]) - y))
    assert np.mean(below) == pytest.approx(0.05, abs=0.025)
    assert np.mean(above) == pytest.approx(0.05, abs=0.025)
    predicted, error = np.concatenate(expected), np.concatenate(errors)
    assert predicted.mean() == pytest.approx(error.mean(), rel=0.15)
    large = predicted > np.quantile(predicted, 0.8)
    assert error[large].mean() > 1.6 * error[~large].mean()
    assert predicted[large].mean() == pytest.approx(error[large].mean(), rel=0.3)


def test_few_rows_promise_less_rather_than_everything() -> None:
    level, below, above = signed_quantiles(np.arange(-3.0, 3.0))
    assert level < 0.9
    assert (below, above) == (3.0, 2.0)


def test_a_gap_without_residuals_falls_back_on_all_of_them() -> None:
    residual = np.array([np.nan, np.nan, 2.0, 4.0], dtype=np.float32)
    around = Surroundings(
        np.array([[0.1, 0.2], [0.1, np.inf]], dtype=np.float32), np.array([[0, 1], [2, 0]], dtype=np.int32), residual
    )
    assert around.local_residuals.tolist() == [3.0, 2.0]
    assert around.scores == pytest.approx([0.15, 0.1])


def test_what_a_head_remembers_survives_the_round_trip(embedded: matlake.Lake, trained: TrainResult) -> None:
    reference = load_head(embedded, "gap").reference
    assert reference is not None
    domain = trained.card.domain
    assert domain is not None
    assert len(reference.value) == trained.card.evaluation.n_train == domain.reference_rows
    content = reference.to_bytes()
    with pytest.raises(HeadError, match=r"reference.parquet of head gap does not match"):
        Reference.from_bytes(content[:-1] + b"x", domain.reference_sha256, "gap")
    assert not np.isnan(reference.residual).any()
    assert reference.error is not None
    assert np.abs(reference.error) == pytest.approx(reference.residual)  # without a transform


@pytest.mark.usefixtures("trained")
def test_a_known_material_is_its_own_nearest_and_a_strange_one_is_far(embedded: matlake.Lake) -> None:
    reference = load_head(embedded, "gap").reference
    assert reference is not None
    known = str(reference.formula[0])
    prediction, strange = predict(embedded, "gap", [known, "Li3Cs"]).predictions
    assert prediction.nearest[0].formula == known
    assert prediction.nearest[0].distance == pytest.approx(0.0, abs=1e-3)
    assert prediction.nearest[0].value == reference.value[0]
    assert len(prediction.nearest) == 3
    assert prediction.ood_score is not None
    assert strange.ood_score is not None
    assert strange.ood_score > prediction.ood_score
    assert prediction.lower is not None
    assert prediction.upper is not None
    assert prediction.lower < prediction.value < prediction.upper


def test_the_shortfall_out_of_distribution_is_printed(embedded: matlake.Lake) -> None:
    result = train(embedded, TrainRequest("band_gap_eV", [FEATURE], "ridge", split="value:high", name="high"))
    document = json.loads(json.dumps(result.document(), allow_nan=False))
    assert document["interval"]["coverage"] < 0.7 < document["interval"]["level"]
    assert document["random_split"]["metrics"]["mae"] < document["metrics"]["mae"]
    text = "\n".join(plain_lines(result.lines()))
    assert "points short, as the test rows are not like the training rows" in text
    assert result.card.calibration is not None
    calibration = replace(result.card.calibration, coverage=0.6)
    training = replace(result.card.training, split="random")
    drawn = replace(result, card=replace(result.card, calibration=calibration, training=training))
    assert "30 points short\n" in "\n".join(plain_lines(drawn.lines()))
    assert "random split: ridge on" in text
    assert "random split: mean of the training rows" in text
