"""Whether a head is worth using: said plainly, in text, JSON, card, `heads show`, and beside every prediction."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import matlake
from matlake.regress.heads.card import ApplicabilityDomain, HeadCard
from matlake.regress.heads.card_files import CARD_FILE, read_card
from matlake.regress.heads.listing import card_lines
from matlake.regress.heads.request import TrainRequest
from matlake.regress.heads.train import train
from matlake.regress.heads.train_result import TrainResult
from matlake.regress.heads.verdict import (
    FOREST,
    FRACTIONS,
    MEAN,
    NEAREST,
    Outcome,
    comparisons_of,
    difference_intervals,
    head_notes,
    overall,
    ranking_text,
    verdict_lines,
    verdict_text,
)
from matlake.regress.prediction.predict import predict
from matlake.text_tables import plain_lines

NOISE = np.random.default_rng(1).normal(size=400)
Y = np.random.default_rng(0).normal(size=400)
GAPS = "elemnet-oqmd-band-gap"
GROUPS = np.array([str(row // 2) for row in range(400)])


def with_errors(card: HeadCard, intervals: dict[str, tuple[float, float]], nearest: float) -> HeadCard:
    """Return a card with the errors of ``NEAREST`` and the intervals of differences replaced."""
    found = card.evaluation
    assert found.nearest_baseline is not None
    evaluation = replace(found, nearest_baseline=replace(found.nearest_baseline, mae=nearest))
    return replace(alone(card), evaluation=evaluation, difference_intervals=intervals)


def alone(card: HeadCard) -> HeadCard:
    """Return a card that is compared with nothing but what every head is."""
    return replace(card, more_baselines=(), suggestions=())


def test_a_comparison_says_better_or_worse_only_if_other_test_rows_would_agree(trained: TrainResult) -> None:
    baselines = {NEAREST: Y + NOISE, FRACTIONS: Y + 0.2 * NOISE, MEAN: Y + 0.5 * np.roll(NOISE, 7)}
    intervals = difference_intervals(Y, Y + 0.5 * NOISE, baselines, GROUPS, seed=0)
    low, high = intervals[NEAREST]
    assert low < -0.5 * np.abs(NOISE).mean() < high < 0.0
    found = {one.baseline: one for one in comparisons_of(replace(alone(trained.card), difference_intervals=intervals))}
    outcomes = {name: one.outcome for name, one in found.items()}
    assert outcomes == {NEAREST: Outcome.BETTER, FRACTIONS: Outcome.WORSE, MEAN: Outcome.UNDECIDED}
    metrics = trained.card.evaluation.metrics
    assert found[MEAN].difference == metrics.mae - trained.card.evaluation.baseline.mae


def test_one_better_baseline_makes_a_head_worse(trained: TrainResult, tmp_path: Path) -> None:
    better = {NEAREST: (-0.3, -0.1), FRACTIONS: (-0.2, -0.1), MEAN: (-0.5, -0.3)}
    mae = trained.metrics.mae
    worse = with_errors(trained.card, better | {NEAREST: (0.1, 0.3), FRACTIONS: (-0.1, 0.1)}, mae - 0.2)
    assert overall(worse) is Outcome.WORSE
    expected = f"worse than the nearest training material (MAE {mae:.2f} against {mae - 0.2:.2f} eV); "
    assert verdict_text(worse).startswith(expected)
    assert "no clear difference from the same model on element fractions" in verdict_text(worse)
    assert verdict_lines(worse)[1].startswith("do not use this head")
    (note, *_) = head_notes(worse)
    assert note.startswith("verdict on this head: worse than the nearest training material")
    assert "better than" not in note
    assert any("worse than the nearest training material" in line for line in card_lines(worse, tmp_path))
    good = with_errors(trained.card, better, mae + 0.2)
    assert overall(good) is Outcome.BETTER
    assert len(verdict_lines(good)) == 1
    assert not any("this head" in note for note in head_notes(good))
    undecided = with_errors(trained.card, better | {NEAREST: (-0.1, 0.1)}, mae)
    assert overall(undecided) is Outcome.UNDECIDED


def test_a_head_that_learns_nothing_says_so_everywhere(embedded: matlake.Lake) -> None:
    result = train(
        embedded, TrainRequest("band_gap_eV", ["fractions"], "knn", where="nelements = 1 OR nelements > 3", name="poor")
    )
    document = json.loads(json.dumps(result.document()))
    names = [one["baseline"] for one in document["baselines"]]
    assert names == [NEAREST, FRACTIONS, MEAN, FOREST, f"{GAPS}@prediction"]
    assert document["baseline"]["mae"] == pytest.approx(document["baselines"][2]["mae"])
    assert document["nearest_baseline"]["mae"] == pytest.approx(document["baselines"][0]["mae"])
    assert document["fractions_baseline"]["mae"] == pytest.approx(document["baselines"][1]["mae"])
    assert document["verdict"] == {
        "outcome": overall(result.card),
        "text": verdict_text(result.card),
        "try": list(result.card.suggestions),
    }
    assert document["verdict"]["outcome"] != "better"
    assert f"verdict: {document['verdict']['text']}" in plain_lines(result.lines())
    saved = read_card(embedded.heads_folder / "poor" / CARD_FILE)
    assert saved.difference_intervals == result.card.difference_intervals
    answer = predict(embedded, "poor", ["TiO2"])
    assert answer.document()["notes"][0].startswith("verdict on this head: ")
    assert any(line.startswith("note: verdict on this head: ") for line in plain_lines(answer.lines()))


def test_the_same_model_twice_is_no_worse_by_rounding() -> None:
    y = np.linspace(1.0, 9.0, 50)
    predicted = y * 1.3
    again = {"itself": predicted * (1.0 - 2e-15), "a worse one": y * 1.5}
    intervals = difference_intervals(y, predicted, again, y.astype(str), 0)
    assert intervals["itself"] == (0.0, 0.0)
    assert intervals["a worse one"][1] < 0.0


def test_an_older_card_says_what_its_errors_say(trained: TrainResult) -> None:
    older = replace(alone(trained.card), difference_intervals={})
    found = comparisons_of(older)
    assert [one.baseline for one in found] == [NEAREST, FRACTIONS, MEAN]
    assert {one.interval for one in found} == {()}
    assert found[2].outcome is Outcome.BETTER
    assert verdict_text(older)


@pytest.mark.parametrize(
    ("correlation", "width", "expected"),
    [
        (0.45, 0.5, "the out-of-distribution score ranks errors on the test rows (rank correlation 0.45)"),
        (0.1, 0.46, "does not rank errors on the test rows (rank correlation 0.10, that of the interval's width 0.46)"),
        (-0.07, None, "does not rank errors on the test rows (rank correlation -0.07)"),
        (None, None, "does not rank errors on the test rows (it cannot be measured)"),
    ],
)
def test_a_score_that_ranks_no_errors_is_said_to(
    trained: TrainResult, correlation: float | None, width: float | None, expected: str
) -> None:
    domain = ApplicabilityDomain({}, {}, correlation, 0.05, width)
    card = replace(trained.card, domain=domain)
    assert expected in ranking_text(card)
    assert (ranking_text(card) in head_notes(card)) is not domain.score_ranks_errors
    assert ranking_text(replace(card, domain=None)) == ""


def test_predict_shows_the_width_where_the_score_ranks_no_errors(embedded: matlake.Lake, trained: TrainResult) -> None:
    answer = predict(embedded, "gap", ["TiO2", "GaN"])
    assert trained.card.domain is not None
    assert answer.score_ranks_errors is trained.card.domain.score_ranks_errors
    score, width = "out-of-distribution score", "interval width"
    for ranks, heading, other in ((True, score, width), (False, width, score)):
        table = plain_lines(replace(answer, score_ranks_errors=ranks, notes=()).lines())
        assert heading in table[1]
        assert other not in table[1]


def test_rounding_makes_no_head_worse(trained: TrainResult) -> None:
    (first, *_) = comparisons_of(trained.card)
    tiny = replace(first, difference=1e-6 * first.error, interval=(0.5e-6 * first.error, 2e-6 * first.error))
    assert tiny.outcome is Outcome.UNDECIDED
    assert replace(tiny, difference=0.1, interval=(0.05, 0.2)).outcome is Outcome.WORSE
