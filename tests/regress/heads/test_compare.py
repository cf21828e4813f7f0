"""Two heads on the same rows: those that neither was trained on, with a paired test."""

import numpy as np
import pytest
from samples import Cli

import matlake
from matlake.errors import HeadError, TrainingError
from matlake.metrics import sign_flip_test
from matlake.regress.heads.compare import compare_heads
from matlake.regress.heads.request import TrainRequest
from matlake.regress.heads.train_result import TrainResult
from matlake.text_tables import plain_lines


@pytest.fixture(scope="module")
def lake(embedded: matlake.Lake, trained: TrainResult) -> matlake.Lake:
    """The head ``gap``, one on the same rows with poor features, and one trained on some of its test rows."""
    assert trained.card.name == "gap"
    matlake.train(embedded, TrainRequest("band_gap_eV", ["fractions"], "knn", name="poor"))
    matlake.train(
        embedded, TrainRequest("band_gap_eV", ["fractions"], "ridge", where="nelements < 3", seed=1, name="binary")
    )
    matlake.train(embedded, TrainRequest("nelements", ["fractions"], "ridge", name="elements"))
    return embedded


def test_heads_are_compared_on_the_rows_that_both_were_tested_on(lake: matlake.Lake, trained: TrainResult) -> None:
    found = compare_heads(lake, "gap", "poor")
    assert found.rows == len(trained.test.y)
    assert found.metrics[0].mae == pytest.approx(trained.metrics.mae, rel=1e-6)
    assert found.difference == pytest.approx(found.metrics[0].mae - found.metrics[1].mae)
    assert found.interval[0] < found.difference < found.interval[1]
    assert not any(found.left_out[reason] for reason in found.left_out if "tested" in reason)
    back = compare_heads(lake, "poor", "gap")
    assert back.difference == pytest.approx(-found.difference)
    assert back.p_value == found.p_value
    text = "\n".join(plain_lines(found.lines()))
    assert "paired sign-flip test over compositions: p " in text
    same = compare_heads(lake, "gap", "gap")
    assert (same.difference, same.p_value, same.better) == (0.0, 1.0, None)


def test_rows_that_either_was_trained_on_are_left_out_and_counted(lake: matlake.Lake, trained: TrainResult) -> None:
    found = compare_heads(lake, "gap", "binary", where="band_gap_eV IS NOT NULL")
    counts = {reason: count for reason, count in found.left_out.items() if count}
    assert sum(counts.values()) + found.rows <= trained.card.evaluation.n_train + trained.card.evaluation.n_test
    assert counts["of compositions that gap was trained on"] > 100
    assert counts["of compositions that binary was trained on"] > 0
    (line,) = [line for line in plain_lines(found.lines()) if "binary was trained on" in line]
    assert line.startswith("left out: ")
    few = "band_gap_eV > 3"
    with pytest.raises(TrainingError, match=r"only \d+ rows are left .* gap was trained on"):
        compare_heads(lake, "gap", "binary", where=few)


def test_heads_of_other_properties_are_refused(lake: matlake.Lake) -> None:
    with pytest.raises(HeadError, match="gap predicts band_gap_eV in eV, and elements nelements in no unit"):
        compare_heads(lake, "gap", "elements")


def test_the_test_flips_signs_of_whole_compositions() -> None:
    noise = np.random.default_rng(0).normal(size=60)
    alone = np.array([str(row) for row in range(60)])
    assert sign_flip_test(noise + 0.6, alone, seed=0) < 0.001
    assert sign_flip_test(noise - noise.mean(), alone, seed=0) > 0.9
    three = np.array([str(row % 3) for row in range(60)])
    assert sign_flip_test(noise + 0.6, three, seed=0) == pytest.approx(0.25, abs=0.02), "2 of 8 flips of three signs"


def test_the_command_prints_one_document(lake: matlake.Lake) -> None:
    document = Cli(lake.path).json("heads", "compare", "gap", "poor")
    assert document["heads"] == ["gap", "poor"]
    assert {"difference", "interval", "p_value", "metrics", "rows", "left_out", "better"} <= set(document)
