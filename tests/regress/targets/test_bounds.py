"""What values a property can have: given, plain from the training labels, or not known."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.csv as pacsv
import pytest

import matlake
from matlake.errors import TrainingError
from matlake.regress.finetuning.finetune import FinetuneRequest, finetune
from matlake.regress.heads.request import TrainRequest
from matlake.regress.heads.storage import load_head
from matlake.regress.heads.train import train
from matlake.regress.heads.train_result import TrainResult
from matlake.regress.prediction.predict import predict
from matlake.regress.prediction.predict_table import predict_to_file
from matlake.regress.regressors.ir_net import IR_NET_KIND
from matlake.regress.targets.bounds import Bounds, find_bounds
from matlake.text_tables import plain_lines

FEATURE = "elemnet-oqmd-formation-energy@13"
POSITIVE = np.linspace(0.1, 3.0, 200)


@pytest.mark.parametrize(
    "name",
    [
        "band_gap_eV",
        "mbj_bandgap",
        "expt gap",
        "bulk_modulus_VRH_GPa",
        "shearmodulusgv",
        "energy_above_hull_eV_per_atom",
        "ehull",
        "density_g_per_cm3",
        "volume_A3_per_atom",
        "refractive_index",
    ],
)
def test_quantities_that_are_not_negative_by_definition_end_at_zero(name: str) -> None:
    bounds = find_bounds(name, POSITIVE)
    assert (bounds.minimum, bounds.maximum) == (0.0, None)
    assert "not negative" in bounds.reason
    assert not find_bounds(name, POSITIVE - 0.2)  # a label says otherwise


@pytest.mark.parametrize(
    "name",
    [
        "formation_energy_eV_per_atom",
        "log10_bulk_modulus_VRH",
        "log_K_modulus",
        "delta_band_gap_eV",
        "gap_difference_eV",
        "band_gap_error_eV",
        "excess_volume_A3",
        "seebeck",
        "x",
    ],
)
def test_labels_that_happen_to_be_positive_bound_nothing(name: str) -> None:
    assert not find_bounds(name, POSITIVE)


def test_labels_that_pile_up_at_zero_end_there() -> None:
    piled = np.concatenate([np.zeros(10), POSITIVE])
    bounds = find_bounds("x", piled)
    assert bounds.minimum == 0.0
    assert "10 of 210 training labels are exactly 0" in bounds.reason
    assert not find_bounds("x", piled[1:])  # nine are too few
    assert not find_bounds("x", np.concatenate([np.zeros(10), np.tile(POSITIVE, 6)]))  # less than one of a hundred


def test_bounds_that_are_given_hold_whatever_the_labels_say() -> None:
    assert find_bounds("poisson_ratio", POSITIVE / 10.0, -1.0, 0.5) == Bounds(-1.0, 0.5, "given with the training")
    assert not find_bounds("band_gap_eV", POSITIVE, -math.inf)
    with pytest.raises(TrainingError, match="minimum 2 is not below the maximum 1"):
        find_bounds("x", POSITIVE, 2.0, 1.0)
    with pytest.raises(TrainingError, match=r"1 of 200 training labels of x are outside .*, such as 3"):
        find_bounds("x", POSITIVE, 0.0, 2.99)


METALS = [a + b for a in ("Fe", "Cu", "Pt") for b in ("Ag", "Ni3", "Ru", "Zr")]
"""A linear model on ``magpie`` predicts negative gaps for most of them."""


def test_a_bound_that_is_no_number_is_refused() -> None:
    with pytest.raises(TrainingError, match="not a number"):
        find_bounds("x", np.array([0.0, 1.0]), minimum=math.nan)


def request(**others: Any) -> TrainRequest:
    return TrainRequest("band_gap_eV", ["magpie"], "ridge", **others)


@pytest.fixture(scope="module")
def bounded(embedded: matlake.Lake) -> TrainResult:
    return train(embedded, request(name="bounded"))


def test_a_band_gap_and_its_interval_are_never_negative(embedded: matlake.Lake, bounded: TrainResult) -> None:
    predictions = predict(embedded, "bounded", METALS).predictions
    values = [one.value for one in predictions]
    assert min(values) == 0.0
    assert all(math.copysign(1.0, value) == 1.0 for value in values)
    assert sum(value == 0.0 for value in values) > len(METALS) / 2
    assert {one.lower for one in predictions if one.value == 0.0} == {0.0}
    document = json.loads(json.dumps(bounded.document()))
    assert document["bounds"]["minimum"] == 0.0
    assert "not negative" in document["bounds"]["reason"]
    assert any("at least 0 eV" in line for line in plain_lines(bounded.lines()))
    lines = plain_lines(predict(embedded, "bounded", METALS).lines())
    assert any(" 0 eV  [0, " in line for line in lines)
    session = load_head(embedded, "bounded").session  # the file itself keeps to it, wherever it is run
    features = np.random.default_rng(0).normal(size=(500, session.get_inputs()[0].shape[1])).astype(np.float32)
    (alone,) = session.run(["value"], {"features": 1e3 * features})
    assert alone.min() == 0.0


def test_a_bound_that_is_switched_off_is_off(embedded: matlake.Lake, bounded: TrainResult) -> None:
    free = train(embedded, request(name="free", minimum=-math.inf))
    assert not free.card.bounds
    assert min(one.value for one in predict(embedded, "free", METALS).predictions) < -1.0
    assert bounded.metrics.mae < free.metrics.mae


def test_bounds_of_the_user_reach_tables(
    embedded: matlake.Lake, tmp_path: Path, write_table: Callable[..., Path]
) -> None:
    narrow = train(embedded, request(name="narrow", where="band_gap_eV < 2", minimum=0.0, maximum=2.0))
    assert (narrow.test.lower.min(), narrow.test.upper.max()) == (0.0, 2.0)
    predict_to_file(
        embedded, "narrow", write_table(formula=[*METALS, *narrow.test.formula.tolist()]), tmp_path / "out.csv"
    )
    table = pacsv.read_csv(tmp_path / "out.csv")
    assert min(table["predicted_band_gap_eV"].to_pylist()) == 0.0
    assert min(table["lower_band_gap_eV"].to_pylist()) == 0.0
    assert max(table["upper_band_gap_eV"].to_pylist()) == 2.0


def test_fine_tuning_keeps_the_bounds(embedded: matlake.Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="needs the extra 'train'")
    monkeypatch.setitem(IR_NET_KIND.training, "epochs", 7)
    own = train(embedded, TrainRequest("band_gap_eV", [FEATURE], "ir-net:16", name="net", where="nelements > 2"))
    assert own.card.bounds.minimum == 0.0
    tuned = finetune(embedded, FinetuneRequest("net", "nelements = 2", name="tuned"))
    assert tuned.card.bounds == own.card.bounds
    assert tuned.test.predicted.min() >= 0.0
    assert tuned.test.lower.min() == 0.0
    session = load_head(embedded, "tuned").session
    (values,) = session.run(
        ["value"], {"features": np.random.default_rng(0).normal(size=(500, 128)).astype(np.float32)}
    )
    assert values.min() >= 0.0
