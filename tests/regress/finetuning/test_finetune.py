import hashlib
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import matlake
from matlake import extras
from matlake.errors import HeadError, MissingExtraError, QueryError, TrainingError
from matlake.regress.finetuning import finetune as module
from matlake.regress.finetuning.finetune import FinetuneRequest, finetune
from matlake.regress.finetuning.result import FinetuneResult
from matlake.regress.finetuning.source_head import read_saved_network
from matlake.regress.finetuning.tuning import Tuning
from matlake.regress.heads.request import TrainRequest
from matlake.regress.heads.storage import find_head, load_head
from matlake.regress.heads.train import train
from matlake.regress.prediction.predict import predict
from matlake.regress.regressors.ir_net import IR_NET_KIND
from matlake.regress.regressors.training_settings import TrainingSettings

pytest.importorskip("torch", reason="needs the extra 'train'")

Vectors = tuple[NDArray[np.float32], NDArray[np.float64]]

FEATURE = "elemnet-oqmd-formation-energy@13"
OLD = "band_gap_eV > 0 AND band_gap_eV < 2.5"
NEW = "band_gap_eV >= 2.5"
BOTH = "band_gap_eV > 1.5"


@pytest.fixture(scope="module", autouse=True)
def _short() -> Iterator[None]:
    """A few epochs each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(IR_NET_KIND.training, "epochs", 7)
        patch.setattr(module, "Tuning", partial(Tuning, training=TrainingSettings(1e-3, 8, 200, 8)))
        yield


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, gaps: Path) -> matlake.Lake:
    """A lake with an IR-net trained on the smaller gaps, by adversarial learning, and a ridge head."""
    opened = matlake.open_lake(tmp_path_factory.mktemp("lake") / "lake", create=True)
    matlake.import_table(opened, gaps, "gaps")
    matlake.embed(opened, [FEATURE])
    train(opened, TrainRequest("band_gap_eV", [FEATURE], "ir-net:32-16", where=OLD, name="low", adversarial="cal"))
    train(opened, TrainRequest("band_gap_eV", [FEATURE], "ridge", where=OLD, name="flat"))
    return opened


@pytest.fixture(scope="module")
def tuned(lake: matlake.Lake) -> FinetuneResult:
    return finetune(lake, FinetuneRequest("low", NEW, "cal"))


def test_a_cal_head_is_a_head_like_any_other(lake: matlake.Lake) -> None:
    card = load_head(lake, "low").card
    assert (card.model.kind, card.model.parameters["adversarial"], card.model.parameters["widths"]) == (
        "ir-net",
        "cal",
        [32, 16],
    )
    assert card.model.parity is not None
    assert card.model.parity < 1e-4
    assert card.interval is not None
    plots = {path.name for path in (find_head(lake, "low") / "plots").iterdir()}
    assert {"training.png", "transport_costs.svg", "parity.png"} <= plots


def test_a_saved_network_is_read_back_as_it_was(lake: matlake.Lake, vectors: Vectors) -> None:
    saved, head = read_saved_network(lake, "low"), load_head(lake, "low")
    assert saved.fitted.predict(vectors[0]) == pytest.approx(head.predict(vectors[0])[0], abs=1e-4)
    assert saved.widths == (32, 16)
    assert saved.dropout == 0.5


def test_the_new_head_says_where_it_came_from(lake: matlake.Lake, tuned: FinetuneResult) -> None:
    card = load_head(lake, "low-cal").card
    assert card == tuned.card
    old = (find_head(lake, "low") / "head.onnx").read_bytes()
    assert card.model.parameters["from_head"] == "low"
    assert card.model.parameters["from_sha256"] == hashlib.sha256(old).hexdigest()
    assert (card.model.parameters["method"], card.model.parameters["target_rows"]) == ("cal", NEW)
    assert NEW in card.training.sql
    assert (card.model.kind, card.target, card.unit) == ("ir-net", "band_gap_eV", "eV")
    assert card.fine_tuning == tuned.fine_tuning


def test_errors_before_and_after_are_those_of_the_two_heads_on_rows_that_neither_learned_from(
    lake: matlake.Lake, tuned: FinetuneResult
) -> None:
    held = tuned.test
    for name, metrics in (("low", tuned.before), ("low-cal", tuned.after)):
        answers = predict(lake, name, held.formula.tolist()).predictions
        again = np.array([answer.value for answer in answers])
        assert np.abs(again - held.y).mean() == pytest.approx(metrics.mae, abs=1e-4)
    assert tuned.after.mae < tuned.before.mae
    reference = load_head(lake, "low-cal").reference
    assert reference is not None
    assert not set(reference.formula.tolist()) & set(held.formula.tolist())
    assert reference.value.min() >= 2.5
    assert len(reference.value) == tuned.card.evaluation.n_train


def test_what_is_forgotten_is_measured_on_the_old_heads_test_rows(lake: matlake.Lake, tuned: FinetuneResult) -> None:
    old = load_head(lake, "low").card
    assert tuned.forgetting is not None
    assert tuned.forgetting.rows == old.evaluation.n_test
    assert tuned.forgetting.before.mae == pytest.approx(old.evaluation.metrics.mae, abs=1e-4)
    assert tuned.forgetting.after.mae > tuned.forgetting.before.mae


def test_the_answer_is_a_document_and_lines(tuned: FinetuneResult) -> None:
    document = json.loads(json.dumps(tuned.document(), allow_nan=False))
    assert (document["head"], document["from_head"], document["method"]) == ("low-cal", "low", "cal")
    assert {"before", "after", "baseline", "forgetting", "interval", "sha256"} <= document.keys()
    text = "\n".join(tuned.lines())
    assert "low, before" in text
    assert "mean of the target rows trained on" in text
    assert "rows that low was tested on" in text


def test_one_seed_gives_one_head(lake: matlake.Lake) -> None:
    first, again = (finetune(lake, FinetuneRequest("low", NEW, "plain", "again", seed=3)) for _ in range(2))
    assert first.card.sha256 == again.card.sha256
    assert "attack_rate" not in first.card.model.parameters


def test_rows_the_head_was_trained_on_are_learned_from_and_not_tested(lake: matlake.Lake) -> None:
    result = finetune(lake, FinetuneRequest("low", BOTH, "plain", "both"))
    trained = load_head(lake, "low").reference
    assert trained is not None
    assert not set(result.test.formula.tolist()) & set(trained.formula.tolist())
    assert "it was trained on before" in result.card.training.split_description


def test_inputs_alone_need_the_rows_that_the_head_was_trained_on(lake: matlake.Lake, tuned: FinetuneResult) -> None:
    result = finetune(lake, FinetuneRequest("low", NEW, "cal-inputs", "inputs"))
    assert result.card.model.parameters["method"] == "cal-inputs"
    assert result.forgetting is not None
    again = finetune(lake, FinetuneRequest("low-cal", BOTH, "plain", "third"))
    assert again.card.model.parameters["from_head"] == tuned.card.name


def test_what_cannot_be_fine_tuned_is_said_before_the_work(lake: matlake.Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = load_head(lake, "low").reference
    assert reference is not None
    trained = tuple(reference.material_id.tolist())
    for request, error, message in (
        (FinetuneRequest("flat", NEW), HeadError, "flat is ridge, not an IR-net"),
        (FinetuneRequest("nobody", NEW), HeadError, "no head 'nobody'"),
        (FinetuneRequest("low", NEW, "gan"), TrainingError, "unknown method of fine-tuning 'gan'"),
        (FinetuneRequest("low", NEW, name="low"), HeadError, "take the place of low"),
        (FinetuneRequest("low", "band_gap_eV > 90"), TrainingError, "only 0 rows"),
        (FinetuneRequest("low", f"material_id IN {trained}"), TrainingError, "was trained on all but 0 of the"),
        (FinetuneRequest("low", "gap >"), QueryError, "gap"),
    ):
        with pytest.raises(error, match=message) as caught:
            finetune(lake, request)
        assert caught.value.hint
    monkeypatch.setattr(extras, "is_installed", lambda _: False)
    with pytest.raises(MissingExtraError, match="needs torch"):
        finetune(lake, FinetuneRequest("low", NEW))


def test_a_head_that_was_changed_is_refused(lake: matlake.Lake) -> None:
    path = find_head(lake, "low") / "head.onnx"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    try:
        with pytest.raises(HeadError, match="does not match the sha256"):
            read_saved_network(lake, "low")
    finally:
        path.write_bytes(content)


def test_adversarial_training_is_for_ir_nets_only(lake: matlake.Lake) -> None:
    for model, method, message in (
        ("ridge", "cal", "ridge cannot learn from adversarial samples"),
        ("auto", "cal", "auto cannot learn from adversarial samples"),
        ("elemnet", "sal", "elemnet cannot learn"),
        ("ir-net", "gan", "unknown adversarial method 'gan'"),
        ("ir-net:wide", "cal", "not valid widths of layers"),
    ):
        with pytest.raises(TrainingError, match=message):
            train(lake, TrainRequest("band_gap_eV", [FEATURE], model, adversarial=method))
