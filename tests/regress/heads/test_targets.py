"""Heads of expressions, on a scale, with weights, and of several targets, trained on real moduli."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest

import matlake
from matlake.errors import HeadError, QueryError, TrainingError
from matlake.regress.heads.card import Budget
from matlake.regress.heads.compare import compare_heads
from matlake.regress.heads.past import find_past
from matlake.regress.heads.request import TrainRequest
from matlake.regress.heads.storage import delete_head, export_head, list_heads, load_head, member_names
from matlake.regress.heads.train import train
from matlake.regress.heads.train_result import TrainResult
from matlake.regress.prediction.predict import predict
from matlake.regress.prediction.predict_table import predict_to_file
from matlake.regress.targets.transforms import Transform
from tests.samples import ELASTIC, Cli

BULK, SHEAR = "bulk_modulus_VRH_GPa", "shear_modulus_VRH_GPa"
ZEROS = 4


@pytest.fixture(scope="module")
def moduli(tmp_path_factory: pytest.TempPathFactory) -> matlake.Lake:
    """Every eighth crystal of the bundled sample: moduli, weights, one with zeros, one that half of the rows lack."""
    folder = tmp_path_factory.mktemp("moduli")
    table = pq.read_table(ELASTIC).select(["material_id", "formula", BULK, SHEAR])
    table = table.take(list(range(0, len(table), 8)))
    count = np.arange(len(table))
    shear = table[SHEAR].to_numpy()
    table = (
        table.append_column("n_measured", pa.array(1 + count % 3))
        .append_column("u_GPa", pa.array(np.where(count % 4 == 0, 60.0, 2.0)))
        .append_column("few_zeros_GPa", pa.array(np.where(count % 40 == 0, 0.0, shear)))
        .append_column("half_GPa", pa.array(np.where(count % 2 == 0, shear, np.nan), from_pandas=True))
        .append_column("half_weight", pa.array(np.where(count % 2 == 0, 1.0, np.nan), from_pandas=True))
    )
    pq.write_table(table, folder / "moduli.parquet")
    lake = matlake.open_lake(folder / "lake", create=True)
    matlake.import_table(lake, folder / "moduli.parquet", "moduli")
    return lake


@pytest.fixture(scope="module", autouse=True)
def no_plots() -> Iterator[None]:
    """Plots take most of the time of a small training, and have tests of their own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("matlake.regress.heads.train.draw_plots", lambda *_: {})
        yield


Trainer = Callable[..., TrainResult]


@pytest.fixture(scope="module")
def head_of(moduli: matlake.Lake) -> Trainer:
    def make(target: str | list[str], **settings: object) -> TrainResult:
        wanted = {"model": "kernel-ridge", "budget": Budget(fits=1), **settings}
        return train(moduli, TrainRequest(target, ["magpie"], **wanted))  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="module")
def several(head_of: Trainer) -> TrainResult:
    """A head ``several`` of three targets, one of which every second row lacks."""
    return head_of([BULK, "half_GPa", f"log10({SHEAR} / {BULK})"], name="several", transform="auto")


def assert_found_again(lake: matlake.Lake, result: TrainResult) -> None:
    """Assert that the test rows of a head, and the compositions that it was trained on, can be found by its card."""
    past = find_past(lake, result.card)
    assert past.rows is not None
    tested = past.rows.held_out.test
    np.testing.assert_array_equal(past.rows.matrix.formula[tested], result.test.formula)
    np.testing.assert_array_equal(past.rows.matrix.y[tested], result.test.y)
    assert not past.compositions & set(result.test.groups.tolist())


def test_a_logarithm_around_a_target_is_its_scale(head_of: Trainer, moduli: matlake.Lake) -> None:
    result = head_of(f"log10({BULK})")
    card = result.card
    assert (card.name, card.target, card.unit) == (f"log10_{BULK}-kernel-ridge", BULK, "GPa")
    assert card.transform is Transform.LOG
    assert card.scale is not None
    assert card.scale.metrics is not None
    errors = np.abs(np.log10(result.test.y) - np.log10(result.test.predicted))
    assert card.scale.metrics.mae == pytest.approx(errors.mean())
    assert f"errors of log10({BULK})" in "\n".join(map(str, result.lines()))
    assert predict(moduli, card.name, ["MgO"]).predictions[0].value > 50.0  # GPa, no logarithm
    assert load_head(moduli, card.name).card.space == card.space


def test_an_expression_is_learned_as_it_is(head_of: Trainer, moduli: matlake.Lake, tmp_path: Path) -> None:
    target = f"{BULK} / {SHEAR}"
    card = head_of(target, name="ratio", transform="none").card
    assert (card.target, card.unit, card.quantity, card.is_expression) == (target, "", target, True)
    assert not card.bounds  # a ratio of moduli is not a modulus
    assert f"{BULK} / {SHEAR}" in card.training.sql
    assert head_of(f"{BULK} - {SHEAR}", transform="none").card.unit == "GPa"
    (tmp_path / "in.csv").write_text("formula\nMgO\n")
    predict_to_file(moduli, "ratio", tmp_path / "in.csv", tmp_path / "out.csv")
    assert f"predicted_{target}" in pacsv.read_csv(tmp_path / "out.csv").column_names


def test_few_values_off_the_scale_are_left_out_and_many_are_an_error(head_of: Trainer) -> None:
    result = head_of("log10(few_zeros_GPa)")
    assert result.left_out == len(result.missing) == ZEROS
    assert {row.reason for row in result.missing} == {"few_zeros_GPa is 0"}
    assert result.document()["left_out"] == ZEROS
    with pytest.raises(TrainingError, match=r"log10\(bulk.* - 100\) has no value in \d+ of 148 rows, first in mp-"):
        head_of(f"log10({BULK} - 100)")
    with pytest.raises(TrainingError, match=r"4 of 148 labels of few_zeros_GPa are not positive, such as 0"):
        head_of("few_zeros_GPa", transform="log")
    assert head_of("few_zeros_GPa", transform="sqrt").card.transform is Transform.SQRT
    # rows in which an expression is infinite
    assert head_of(f"{BULK} / few_zeros_GPa", transform="none").left_out == ZEROS


def test_auto_learns_a_skewed_property_on_the_scale_with_the_smallest_error(head_of: Trainer) -> None:
    result = head_of(SHEAR)
    choice = result.card.scale.choice if result.card.scale else None
    assert choice is not None
    assert set(choice.errors) == {"none", "log", "sqrt"}
    root = "sqrt" if choice.errors["sqrt"] < 0.98 * choice.errors["none"] else "none"
    expected = "log" if choice.errors["log"] < 0.98 * choice.errors[root] else root
    assert result.card.transform == choice.chosen == expected
    assert "kernel ridge regression" in "\n".join(map(str, result.lines()))
    assert head_of("few_zeros_GPa").card.scale is None  # no logarithm of zero


def test_a_scale_is_asked_for_once(head_of: Trainer) -> None:
    with pytest.raises(TrainingError, match="has a scale already"):
        head_of(f"log10({BULK})", transform="sqrt")
    as_it_is = head_of(f"log10({BULK})", transform="none").card
    assert (as_it_is.target, as_it_is.unit, as_it_is.scale) == (f"log10({BULK})", "", None)
    assert as_it_is.evaluation.metrics.mae < 1.0
    with pytest.raises(TrainingError, match="unknown transform"):
        head_of(BULK, transform="cube")


def test_intervals_keep_to_bounds_on_a_scale(head_of: Trainer) -> None:
    result = head_of(BULK, transform="log", minimum=0.0, maximum=500.0)
    assert (result.test.lower >= 0.0).all()
    assert (result.test.upper <= 500.0).all()
    with pytest.raises(TrainingError, match="outside the bounds"):
        head_of(BULK, maximum=100.0)


def test_weights_change_a_fit_and_uncertain_labels_count_less(head_of: Trainer) -> None:
    plain = head_of(BULK, transform="none").test.predicted
    weighted = head_of(BULK, transform="none", weights="n_measured")
    assert weighted.card.weighting == "rows are weighted by n_measured"
    assert np.abs(weighted.test.predicted - plain).max() > 0.1
    tenfold = head_of(BULK, transform="none", weights="10 * n_measured")
    np.testing.assert_allclose(tenfold.test.predicted, weighted.test.predicted, rtol=1e-6)
    uncertain = head_of(BULK, transform="none", uncertainty="u_GPa")
    assert np.abs(uncertain.test.predicted - plain).max() > 0.1
    equal = head_of(BULK, transform="none", uncertainty="5.0")
    np.testing.assert_allclose(equal.test.predicted, plain, rtol=1e-6)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"weights": "n_measured - 2"}, "the weight is negative or not finite in 50 rows, first in mp-"),
        ({"weights": "1 / (n_measured - 1)"}, "the weight is negative or not finite"),
        ({"weights": "0 * n_measured"}, "the weight is zero in all rows"),
        ({"weights": "nope"}, "has no column 'nope'"),
        ({"weights": "sum(n_measured)"}, "not one value a row"),
        ({"weights": "formula"}, "^column 'formula' holds VARCHAR, not numbers"),
        ({"weights": "formula || '1'"}, r"^formula \|\| '1' is VARCHAR, not a number"),
        ({"weights": "n_measured", "uncertainty": "u_GPa"}, "both given"),
        ({"weights": "n_measured", "model": "knn"}, "knn takes no weights"),
        ({"uncertainty": "-u_GPa"}, "the uncertainty is negative or not finite"),
    ],
)
def test_weights_that_cannot_be_used_are_named(head_of: Trainer, settings: dict[str, str], reason: str) -> None:
    with pytest.raises((TrainingError, QueryError), match=reason):
        head_of(BULK, **settings)


def test_rows_without_a_weight_are_counted(head_of: Trainer, moduli: matlake.Lake) -> None:
    result = head_of(BULK, weights="half_weight")
    assert result.left_out == len(result.missing) == 74
    assert {(row.feature, row.reason) for row in result.missing} == {("weight", "null")}
    assert_found_again(moduli, result)


def test_several_targets_share_one_split_and_each_has_its_own_model(several: TrainResult, moduli: matlake.Lake) -> None:
    cards = [result.card for result in several.results]
    assert [card.name.partition(":")[0] for card in cards] == ["several"] * 3
    assert [card.target for card in cards] == [BULK, "half_GPa", f"{SHEAR} / {BULK}"]
    assert cards[1].evaluation.n_train < 0.6 * cards[0].evaluation.n_train
    tested = [set(result.test.groups.tolist()) for result in several.results]
    trained = [
        set(load_head(moduli, card.name).reference.formula.tolist())  # type: ignore[union-attr]
        for card in cards
    ]
    assert tested[1] <= tested[0]
    formulas = [set(result.test.formula.tolist()) for result in several.results]
    assert not any(test & train for test in formulas for train in trained)
    assert several.document()["targets"] == [card.target for card in cards]
    assert member_names(moduli, "several") == [card.name for card in cards]


def test_predictions_of_several_targets_are_in_long_form(
    several: TrainResult, moduli: matlake.Lake, tmp_path: Path
) -> None:
    found = predict(moduli, "several", ["MgO", "Xx", "SiC"]).document()
    assert found["head"] == "several"
    assert [(entry["input"], entry["target"]) for entry in found["predictions"]] == [
        (formula, result.card.target) for formula in ("MgO", "SiC") for result in several.results
    ]
    assert {entry["unit"] for entry in found["predictions"]} == {"GPa", ""}
    assert [failure["row"] for failure in found["failed"]] == [1]
    for result in several.results:  # a member predicts as a part of the whole does
        alone = predict(moduli, result.card.name, ["MgO"]).predictions[0]
        entry = next(one for one in found["predictions"] if one["target"] == result.card.target)
        assert alone.value == pytest.approx(entry["value"])
    (tmp_path / "in.csv").write_text("formula\nMgO\nXx\n")
    predict_to_file(moduli, "several", tmp_path / "in.csv", tmp_path / "out.parquet")
    table = pq.read_table(tmp_path / "out.parquet")
    for result in several.results:
        target = result.card.target
        assert {f"predicted_{target}", f"lower_{target}", f"ood_score_{target}"} <= set(table.column_names)
        assert table[f"predicted_{target}"].null_count == 1
    assert table["prediction_failure"].null_count == 1


def test_a_head_of_several_targets_is_handled_as_a_whole(
    several: TrainResult, moduli: matlake.Lake, tmp_path: Path
) -> None:
    names = [result.card.name for result in several.results]
    assert set(names) <= {card.name for card in list_heads(moduli)}
    with pytest.raises(HeadError, match="predicts several targets") as caught:
        load_head(moduli, "several")
    assert names[0] in caught.value.hint
    with pytest.raises(HeadError, match="is a part of head several"):
        delete_head(moduli, names[0])
    export_head(moduli, "several", tmp_path / "out")
    other = matlake.open_lake(tmp_path / "lake", create=True)
    (tmp_path / "lake" / "heads").mkdir(exist_ok=True)
    (tmp_path / "out").rename(tmp_path / "lake" / "heads" / "moved")
    assert len(predict(other, "moved", ["MgO"]).results) == 3
    cli = Cli(other.path)
    assert [member["target"] for member in cli.json("heads", "show", "moved")["members"]] == [  # type: ignore[attr-defined]
        result.card.target for result in several.results
    ]
    card = tmp_path / "lake" / "heads" / "moved" / "card.json"
    document = json.loads(card.read_text())
    card.write_text(json.dumps(document | {"members": document["members"][:2]}))
    with pytest.raises(HeadError, match="is not the card of a head of several targets"):
        predict(other, "moved", ["MgO"])
    delete_head(other, "moved")
    assert list_heads(other) == []


def test_the_rows_of_members_are_found_again(several: TrainResult, moduli: matlake.Lake) -> None:
    for result in several.results:
        assert_found_again(moduli, result)
    member = several.results[0].card.name
    assert compare_heads(moduli, member, member).rows == several.results[0].card.evaluation.n_test


def test_several_targets_that_cannot_be_one_head_are_refused(head_of: Trainer) -> None:
    with pytest.raises(TrainingError, match="holds out values of one target"):
        head_of(f"{BULK},{SHEAR}", split="value:high")
    with pytest.raises(TrainingError, match="one uncertainty is given for several targets"):
        head_of(f"{BULK},{SHEAR}", uncertainty="u_GPa")
    with pytest.raises(TrainingError, match="named twice"):
        head_of([BULK, BULK])


def test_the_members_of_a_head_are_served(several: TrainResult, moduli: matlake.Lake) -> None:
    pytest.importorskip("fastapi")
    from matlake.serving.service import Service
    from matlake.serving.settings import Settings

    service = Service(moduli, Settings(("several",)))
    try:
        assert list(service.heads) == [result.card.name for result in several.results]
        described = [head.describe() for head in service.heads.values()]
        assert described[2]["quantity"] == several.results[2].card.target
    finally:
        service.close()
