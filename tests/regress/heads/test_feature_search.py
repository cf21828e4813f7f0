"""The choice among features: what helps within the training materials must not mislead outside."""

from dataclasses import asdict

import numpy as np
import pytest
from numpy.typing import NDArray

import matlake
from matlake.encoders.card import InputKind
from matlake.regress.features.feature import Feature
from matlake.regress.features.matrix import Matrix
from matlake.regress.heads.card import Budget
from matlake.regress.heads.feature_choice import FeatureChoice
from matlake.regress.heads.feature_search import MIN_ROWS, SetErrors, choose_features, with_features
from matlake.regress.heads.listing import card_lines
from matlake.regress.heads.request import TrainRequest
from matlake.regress.heads.storage import load_head
from matlake.regress.heads.train import train
from matlake.regress.splits import HeldOut
from matlake.text_tables import plain_lines

ENCODER = "elemnet-oqmd-formation-energy"
ROWS, CLUSTERS = 240, 5
RNG = np.random.default_rng(0)
CLUSTER = np.arange(ROWS) % CLUSTERS
TRUTH = RNG.normal(size=(ROWS, 3))
TARGET = np.tanh(TRUTH).sum(axis=1)


def misleading() -> NDArray[np.float64]:
    """Which cluster a row is in, and the target with a sign of each cluster's own: of use only where it is known."""
    sign = np.array([1.0, -1.0, 1.0, -1.0, 1.0])[CLUSTER]
    return np.column_stack([3.0 * np.eye(CLUSTERS)[CLUSTER], sign * TARGET])


def features_of(**blocks: NDArray[np.float64]) -> tuple[Matrix, HeldOut, list[Feature]]:
    """Return rows with some features, all of them trained on."""
    fractions = np.zeros((ROWS, 118), dtype=np.float32)
    fractions[np.arange(ROWS), CLUSTER] = 0.9
    fractions[np.arange(ROWS), 10 + np.arange(ROWS) % 100] = 0.1
    text = np.array([f"g{row}" for row in range(ROWS)])
    x = np.column_stack(list(blocks.values())).astype(np.float32)
    features = [
        Feature(name.replace("_", "@"), name.partition("_")[0], name.partition("_")[2], "", block.shape[1])
        for name, block in blocks.items()
    ]
    matrix = Matrix(x, TARGET, fractions, text, text, text, text, (), "")
    return matrix, HeldOut("", np.arange(ROWS), np.arange(0), np.arange(0), ""), features


def chosen(choice: FeatureChoice | None) -> tuple[str, ...]:
    assert choice is not None
    return choice.chosen.features


def test_a_feature_of_noise_is_left_out() -> None:
    given = features_of(a_1=TRUTH, a_2=RNG.normal(size=(ROWS, 40)), b_1=TRUTH + 0.3 * RNG.normal(size=TRUTH.shape))
    choice = choose_features(*given, seed=0)
    assert "a@2" not in chosen(choice)
    assert "a@1" in chosen(choice)
    assert choice is not None
    assert choice.chosen.improves(choice.everything)
    assert choice == choose_features(*given, seed=0)


def test_what_helps_on_random_folds_alone_is_refused_and_named() -> None:
    choice = choose_features(*features_of(a_1=TRUTH * [1.0, 1.0, 0.0], b_1=misleading()), seed=0)
    assert choice is not None
    assert choice.chosen == choice.everything
    assert choice.refused is not None
    assert choice.refused.features == ("b@1",)
    assert choice.refused.random_mae < 0.7 * choice.chosen.random_mae
    assert choice.refused.cluster_mae > 1.05 * choice.chosen.cluster_mae
    assert choice.lines("eV")[-2].startswith("features refused because they are worse on clusters: b@1: MAE")


def test_a_learned_kernel_takes_part_where_it_is_no_worse_on_clusters() -> None:
    choices = [
        choose_features(*features_of(a_1=TRUTH[:, :1], a_2=TRUTH[:, 1:]), seed=0),
        choose_features(*features_of(a_1=TRUTH * [1.0, 1.0, 0.0], b_1=misleading()), seed=0),
    ]
    for choice in choices:
        assert choice is not None
        assert choice.learned_cluster_mae is not None
        assert choice.learns_blocks == (choice.learned_cluster_mae <= choice.chosen.cluster_mae)
        assert "part in the model search" in choice.lines("")[-1]


def test_held_out_errors_are_those_of_fits_without_the_rows() -> None:
    x = np.column_stack([TRUTH, RNG.normal(size=(ROWS, 2))]).astype(np.float32)
    folds = [np.arange(start, ROWS, 3) for start in range(3)]
    measured = SetErrors(x, TARGET, [3, 2], folds, folds)
    z = (x - x.mean(axis=0, dtype=np.float64)) / x.std(axis=0, dtype=np.float64)
    target = (TARGET - TARGET.mean()) / TARGET.std()
    gamma, ridge = measured.setting
    squares = [((z[:, None, part] - z[None, :, part]) ** 2).mean(axis=2) * gamma for part in (slice(3), slice(3, 5))]
    gram = 1.0 + (np.mean([1 / (1 + s) for s in squares], axis=0) + 1 / (1 + np.mean(squares, axis=0))) / 2
    errors = []
    for held in folds:
        fit = np.setdiff1d(np.arange(ROWS), held)
        weights = np.linalg.solve(gram[np.ix_(fit, fit)] + ridge * np.eye(len(fit)), target[fit])
        errors.append(np.abs(gram[np.ix_(held, fit)] @ weights - target[held]))
    found = measured.errors[0, 1]
    assert found[0] == found[1] == pytest.approx(np.concatenate(errors).mean() * TARGET.std(), rel=1e-4)


def test_there_is_no_choice_of_one_feature_or_from_few_rows() -> None:
    matrix, held_out, features = features_of(a_1=TRUTH, a_2=TRUTH)
    assert choose_features(matrix, held_out, features[:1], 0) is None
    few = HeldOut("", np.arange(MIN_ROWS - 1), np.arange(0), np.arange(0), "")
    assert choose_features(matrix, few, features, 0) is None


def test_without_time_all_features_are_used() -> None:
    choice = choose_features(*features_of(a_1=TRUTH, a_2=RNG.normal(size=(ROWS, 40))), seed=0, seconds=0.0)
    assert chosen(choice) == ("a@1", "a@2")
    assert choice is not None
    assert choice.cut_short
    assert choice.lines("eV")[-1] == "choice among features cut short; sets measured: 1"


def test_chosen_features_keep_their_columns_and_order() -> None:
    matrix, _, features = features_of(a_1=TRUTH, b_1=misleading(), a_2=TRUTH + 1.0)
    some, kept = with_features(matrix, features, ["a@2", "a@1"])
    assert [feature.feature for feature in kept] == ["a@1", "a@2"]
    assert np.array_equal(some.x, matrix.x[:, [0, 1, 2, 9, 10, 11]])
    assert features[0].input is InputKind.COMPOSITION


def test_a_head_needs_only_the_features_that_were_chosen(embedded: matlake.Lake) -> None:
    named = [f"{ENCODER}@13+16", "magpie", "fractions"]
    result = train(
        embedded, TrainRequest("band_gap_eV", named, where="band_gap_eV > 0", name="chosen", budget=Budget(6))
    )
    choice = result.card.model.features
    assert choice is not None
    assert choice.everything.features == (f"{ENCODER}@13", f"{ENCODER}@16", "magpie@attributes", "fractions@fractions")
    assert tuple(feature.feature for feature in result.card.features) == choice.chosen.features
    tried = {candidate.model for candidate in result.card.model.search.candidates} if result.card.model.search else {}
    assert ("gaussian-process" in tried) == choice.learns_blocks
    assert choice.chosen == choice.everything or choice.chosen.improves(choice.everything)
    saved = load_head(embedded, "chosen").card
    assert saved.model.features == choice
    assert result.document()["feature_choice"] == asdict(choice)
    assert "on left-out clusters of compositions" in "\n".join(plain_lines(result.lines()))
    assert "on left-out clusters of compositions" in "\n".join(card_lines(saved, embedded.heads_folder / "chosen"))
    answer = matlake.predict(embedded, "chosen", result.test.formula.tolist()[:20])
    assert [p.value for p in answer.predictions] == pytest.approx(result.test.predicted[:20].tolist(), abs=1e-4)


def test_a_model_that_was_named_keeps_all_features(trained) -> None:
    assert trained.card.model.features is None
    assert trained.document()["feature_choice"] is None
