import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from onnx import TensorProto, helper, numpy_helper

import matlake
from matlake.errors import DamageWarning, HeadError
from matlake.files import sha256_of
from matlake.materials.formula import parse_formula
from matlake.regress.heads.card import FORMAT_VERSION, HeadCard
from matlake.regress.heads.card_files import card_bytes, read_card
from matlake.regress.heads.listing import card_lines, head_summary, head_table
from matlake.regress.heads.storage import (
    Head,
    check_encoder,
    check_head,
    delete_head,
    export_head,
    list_heads,
    load_head,
    save_head,
)
from matlake.regress.heads.train_result import TrainResult
from matlake.regress.prediction.predict import predict
from matlake.regress.prediction.prediction_columns import NOT_FINITE, PredictionColumns
from matlake.regress.prediction.results import Prediction
from matlake.store.folders import LakeFolders


@pytest.fixture
def home(tmp_path: Path, embedded: matlake.Lake, trained: TrainResult) -> LakeFolders:
    """A folder with a copy of the trained head."""
    shutil.copytree(embedded.heads_folder / trained.card.name, tmp_path / "heads" / trained.card.name)
    return LakeFolders(tmp_path)


OLD = Path(__file__).parents[2] / "data" / "head_v1" / "gap-v1"


def save(home: LakeFolders, card: HeadCard) -> HeadCard:
    """Save a card with the files of the head ``gap``."""
    reference = load_head(home, "gap").reference
    return save_head(home, card, content_of(home), reference, {"parity.png": b"a plot"})


def with_seed(card: HeadCard, seed: int) -> HeadCard:
    return replace(card, training=replace(card.training, seed=seed))


def content_of(home: LakeFolders, name: str = "gap") -> bytes:
    return (home.path / "heads" / name / "head.onnx").read_bytes()


def test_a_head_survives_the_round_trip(home: LakeFolders, trained: TrainResult) -> None:
    domain = trained.card.domain
    assert domain is not None
    saved = save(home, replace(trained.card, name="copy", sha256="", domain=replace(domain, reference_sha256="")))
    head = load_head(home, "copy")
    assert head.card == saved == replace(trained.card, name="copy")
    values, coordinates = head.predict(np.zeros((3, 160), dtype=np.float32))
    assert values.shape == (3,)
    assert coordinates is not None
    assert coordinates.shape == (3, 32)
    assert [card.name for card in list_heads(home)] == ["copy", "gap"]


def test_a_head_is_replaced_as_a_whole(home: LakeFolders, trained: TrainResult) -> None:
    save(home, with_seed(trained.card, 99))
    assert load_head(home, "gap").card.training.seed == 99
    names = [path.name for path in (home.path / "heads" / "gap").iterdir()]
    assert sorted(names) == ["card.json", "head.onnx", "plots", "reference.parquet"]
    assert [path.name for path in (home.path / "heads" / "gap" / "plots").iterdir()] == ["parity.png"]
    assert not [*home.path.glob("heads/.saving/*"), *home.path.glob("heads/.replaced/*")]


class Crash(BaseException):
    """The end of a process, as far as a test can have one."""


@pytest.mark.parametrize("call", range(1, 15))
def test_a_crash_while_replacing_leaves_the_old_head_or_the_new_one(
    home: LakeFolders, trained: TrainResult, monkeypatch: pytest.MonkeyPatch, call: int
) -> None:
    calls = 0

    def crash_at(original: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*arguments: object, **options: object) -> object:
            nonlocal calls
            calls += 1
            if calls == call:
                raise Crash
            return original(*arguments, **options)

        return wrapped

    content, reference = content_of(home), load_head(home, "gap").reference
    with monkeypatch.context() as patch:
        for owner, name in ((Path, "rename"), (Path, "replace"), (os, "fsync")):
            patch.setattr(owner, name, crash_at(getattr(owner, name)))
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)  # a dead process tidies nothing
        with pytest.raises(Crash):
            save_head(home, with_seed(trained.card, 99), content, reference, {"parity.png": b"a plot"})
    assert load_head(home, "gap").card.training.seed in (trained.card.training.seed, 99)
    assert [card.name for card in list_heads(home)] == ["gap"]
    save_head(home, with_seed(trained.card, 100), content, reference)
    assert load_head(home, "gap").card.training.seed == 100


def test_an_unknown_head_is_answered_with_the_known_ones(home: LakeFolders) -> None:
    with pytest.raises(HeadError, match="no head 'gaps'") as caught:
        load_head(home, "gaps")
    assert caught.value.hint == "heads: gap"


@pytest.mark.parametrize("name", ["../gap", "", ".replaced", "a/b", "x" * 101])
def test_a_name_that_could_leave_the_folder_is_refused(home: LakeFolders, trained: TrainResult, name: str) -> None:
    with pytest.raises(HeadError, match="is not a valid head name"):
        load_head(home, name)
    with pytest.raises(HeadError, match="is not a valid head name"):
        save_head(home, replace(trained.card, name=name), b"", None)


@pytest.mark.parametrize("file", ["head.onnx", "reference.parquet"])
def test_a_flipped_byte_is_refused(home: LakeFolders, file: str) -> None:
    path = home.path / "heads" / "gap" / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(HeadError, match="does not match the sha256"):
        load_head(home, "gap")


def test_a_file_that_is_no_onnx_is_refused_although_its_digest_fits(home: LakeFolders, trained: TrainResult) -> None:
    save_head(home, trained.card, b"\x80\x04cposix\nsystem\n(S'touch /tmp/pwned'\ntR.", None)
    with pytest.raises(HeadError, match="not an ONNX file"):
        load_head(home, "gap")


def test_weights_in_another_file_and_custom_operators_are_refused_although_the_digest_fits(
    home: LakeFolders, trained: TrainResult
) -> None:
    outside, custom = (onnx.load_model_from_string(content_of(home)) for _ in range(2))
    tensor = outside.graph.initializer[0]
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    custom.graph.node[0].domain = "com.example"
    for model, message in ((outside, "in another file"), (custom, "custom operator com.example::")):
        save_head(home, trained.card, model.SerializeToString(), None)
        with pytest.raises(HeadError, match=message):
            load_head(home, "gap")


def test_a_head_of_format_1_opens_for_ever(tmp_path: Path, embedded: matlake.Lake) -> None:
    lake = matlake.Lake(shutil.copytree(embedded.path, tmp_path / "lake"))
    shutil.copytree(OLD, lake.heads_folder / OLD.name)
    answer = predict(lake, "gap-v1", ["TiO2", "GaN", "NaCl"])
    values = [prediction.value for prediction in answer.predictions]
    assert values == pytest.approx([3.2054165, 0.7142412, 2.1122653], abs=1e-4)
    assert {(p.lower, p.ood_score, p.elements_outside_training, p.nearest) for p in answer.predictions} == {
        (None, None, (), ())
    }
    assert answer.level is None
    card = load_head(lake, "gap-v1").card
    assert "train it again" in "\n".join(card_lines(card, lake.path))
    assert "gap-v1" in head_table([card]).lines()[-1]


def test_a_deleted_head_is_gone_with_the_one_put_aside(home: LakeFolders) -> None:
    shutil.copytree(home.path / "heads" / "gap", home.path / "heads" / ".replaced" / "gap")
    delete_head(home, "gap")
    assert list_heads(home) == []
    assert not [*home.path.glob("heads/.saving/*"), *home.path.glob("heads/.replaced/*")]
    with pytest.raises(HeadError, match="no head 'gap'"):
        delete_head(home, "gap")


def test_an_exported_head_is_a_head_elsewhere(home: LakeFolders, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere" / "heads" / "mine"
    target.parent.mkdir(parents=True)
    export_head(home, "gap", target)
    there = LakeFolders(tmp_path / "elsewhere")
    assert load_head(there, "mine").card == replace(load_head(home, "gap").card, name="mine")
    assert [card.name for card in list_heads(there)] == ["mine"]
    with pytest.raises(HeadError, match="exists"):
        export_head(home, "gap", target)
    (tmp_path / "file").touch()
    with pytest.raises(HeadError, match="cannot write"):
        export_head(home, "gap", tmp_path / "file" / "mine")
    assert [path.name for path in target.parent.iterdir()] == ["mine"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format_version": "one"}', '{"format_version": 1, "features": 3}'])
def test_a_damaged_card_is_one_clear_error(home: LakeFolders, text: str) -> None:
    (home.path / "heads" / "gap" / "card.json").write_text(text)
    with pytest.raises(HeadError, match="is not a head's card"):
        load_head(home, "gap")


@pytest.mark.parametrize(
    ("written", "edited"),
    [
        ('"unit": "eV"', '"unit": "meV"'),
        ('"target": "band_gap_eV"', '"target": "band_gap_meV"'),
        ('"level": 0.9', '"level": 0.99'),
        ('"split": "random"', '"split": "group"'),
        (f'"format_version": {FORMAT_VERSION}', '"format_version": 3'),
        ('"beyond": ', '"beyond": 1'),
        ('"digest": "', '"digest": "0'),
    ],
)
def test_an_edited_card_is_refused(home: LakeFolders, written: str, edited: str) -> None:
    path = home.path / "heads" / "gap" / "card.json"
    text = path.read_text()
    assert text.count(written) == 1
    path.write_text(text.replace(written, edited))
    for check in (load_head, check_head):
        with pytest.raises(HeadError, match=r"does not match its digest|unknown fields digest") as caught:
            check(home, "gap")
        assert "train the head again" in caught.value.hint


def test_every_number_of_a_card_is_covered_by_its_digest(home: LakeFolders) -> None:
    path = home.path / "heads" / "gap" / "card.json"
    whole = path.read_text()
    places = [place for place, letter in enumerate(whole) if letter.isdigit()]
    for place in places[:: max(1, len(places) // 100)]:
        changed = whole[:place] + str((int(whole[place]) + 1) % 10) + whole[place + 1 :]
        path.write_text(changed)
        if not is_same_json(changed, whole):
            with pytest.raises(HeadError):
                read_card(path)
    path.write_text(json.dumps(json.loads(whole), sort_keys=True))  # another layout is the same card
    assert [card.name for card in list_heads(home)] == ["gap"]
    assert check_head(home, "gap").notes == ()


def test_a_card_that_was_edited_does_not_hide_the_other_heads(home: LakeFolders, trained: TrainResult) -> None:
    save_head(home, replace(trained.card, name="edited"), content_of(home), load_head(home, "gap").reference)
    path = home.path / "heads" / "edited" / "card.json"
    path.write_text(path.read_text().replace('"unit": "eV"', '"unit": "meV"'))
    with pytest.warns(DamageWarning, match="edited or damaged; restore the file"):
        assert [card.name for card in list_heads(home)] == ["gap"]


def is_same_json(one: str, other: str) -> bool:
    """Return whether they say the same; the 17th digit of a number may make no difference."""
    try:
        return bool(json.loads(one) == json.loads(other))
    except ValueError:
        return False


def test_a_card_without_digest_opens_with_a_note(home: LakeFolders) -> None:
    card = load_head(home, "gap").card
    (home.path / "heads" / "gap" / "card.json").write_text(json.dumps(asdict(replace(card, format_version=3))))
    old = load_head(home, "gap").card
    assert old == replace(card, format_version=3)
    assert old.notes == ("the card has format 3, without a digest: an edit of it would go unnoticed",)
    assert old.notes[0] in "\n".join(card_lines(old, home.path))
    assert head_summary(old)["notes"] == list(old.notes)
    saved = save_head(home, old, content_of(home), load_head(home, "gap").reference)
    assert load_head(home, "gap").card == saved
    assert saved.notes == ()


@pytest.mark.parametrize("number", ["1e999", "NaN", "-Infinity"])
def test_an_interval_that_is_not_finite_is_refused(home: LakeFolders, number: str) -> None:
    card = load_head(home, "gap").card
    assert card.calibration is not None
    text = json.dumps(asdict(replace(card, format_version=3)))
    quantile = json.dumps(card.calibration.interval.quantile)
    (home.path / "heads" / "gap" / "card.json").write_text(
        text.replace(f'"quantile": {quantile}', f'"quantile": {number}')
    )
    with pytest.raises(HeadError, match="an interval is not finite"):
        load_head(home, "gap")


@pytest.mark.parametrize("text", ["[" * 200_000, '{"format_version": ' * 200_000, "1" * 20_000_000])
def test_a_card_that_is_a_bomb_is_one_clear_error(home: LakeFolders, text: str) -> None:
    (home.path / "heads" / "gap" / "card.json").write_text(text)
    with pytest.raises(HeadError, match="is not a head's card"):
        load_head(home, "gap")


def rewritten(home: LakeFolders, change: Callable[[pa.Table], pa.Table]) -> None:
    """Change the reference rows of the head ``gap``, and its card with them."""
    path = home.path / "heads" / "gap" / "reference.parquet"
    pq.write_table(change(pq.read_table(path)), path, compression="zstd")
    card = read_card(path.with_name("card.json"))
    assert card.domain is not None
    domain = replace(card.domain, reference_sha256=sha256_of(path))
    path.with_name("card.json").write_bytes(card_bytes(replace(card, domain=domain)))


def test_reference_rows_are_bounded(home: LakeFolders) -> None:
    def many(table: pa.Table) -> pa.Table:
        return table.take(pa.array(np.zeros(200_000, dtype=np.int64)))

    def long(table: pa.Table) -> pa.Table:
        names = pa.array(["x" * 1_000_000] * len(table))
        return table.set_column(table.schema.get_field_index("formula"), "formula", names)

    def infinite(table: pa.Table) -> pa.Table:
        values = pa.array(np.full(len(table), np.inf))
        return table.set_column(table.schema.get_field_index("value"), "value", values)

    whole = (home.path / "heads" / "gap" / "reference.parquet").read_bytes()
    for change, message in (
        (many, "200,000 rows"),
        (long, "a formula of 1,000,000 letters"),
        (infinite, "a value is not finite"),
        (lambda table: table.drop(["value"]), "is not a reference set"),
        (lambda table: table.slice(0, 0), "0 rows"),
    ):
        (home.path / "heads" / "gap" / "reference.parquet").write_bytes(whole)
        rewritten(home, change)
        for check in (load_head, check_head):
            with pytest.raises(HeadError, match=message):
                check(home, "gap")


def graph(values: str, coordinates: int) -> bytes:
    """A head that returns the mean of 160 features, less one of which the root is taken, and zeros."""
    nodes = [
        helper.make_node("ReduceMean", ["features", "axis"], ["mean"], keepdims=0),
        helper.make_node(values, ["mean"], ["changed"]),
        helper.make_node("Cast", ["changed"], ["value"], to=TensorProto.DOUBLE),
        helper.make_node("MatMul", ["features", "matrix"], ["coordinates"]),
    ]
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", 160])],
        [
            helper.make_tensor_value_info("value", TensorProto.DOUBLE, ["n"]),
            helper.make_tensor_value_info("coordinates", TensorProto.FLOAT, ["n", coordinates]),
        ],
        [
            numpy_helper.from_array(np.array([1]), "axis"),
            numpy_helper.from_array(np.zeros((160, coordinates), dtype=np.float32), "matrix"),
        ],
    )
    model = helper.make_model(made, ir_version=10, opset_imports=[helper.make_opsetid("", 20)])
    return bytes(model.SerializeToString())


def test_rows_that_are_not_finite_fail_and_leave_the_others(home: LakeFolders) -> None:
    card, reference = load_head(home, "gap").card, load_head(home, "gap").reference
    save_head(home, card, graph("Sqrt", 32), reference)
    head = load_head(home, "gap")
    x = np.ones((4, 160), dtype=np.float32)
    x[[1, 3]] = -1.0  # of which there is no root
    predicted = PredictionColumns.empty([None] * 4, head)
    predicted.fill(range(4), x, [parse_formula(one).elements for one in ("GaN", "GaAs", "InN", "InP")], head)
    results = [predicted.result(row, "x") for row in range(4)]
    assert [isinstance(one, Prediction) for one in results] == [True, False, True, False]
    assert predicted.reasons[1] == NOT_FINITE
    assert np.isfinite(predicted.values[[0, 2]]).all()
    assert predicted.lower[0] < predicted.values[0] < predicted.upper[0]
    assert predicted.elements_outside_training[2] is not None


def test_coordinates_of_another_width_than_the_reference_rows_are_refused(home: LakeFolders) -> None:
    card, reference = load_head(home, "gap").card, load_head(home, "gap").reference
    save_head(home, card, graph("Abs", 5), reference)
    with pytest.raises(HeadError, match="coordinates of head gap are not those"):
        load_head(home, "gap").predict(np.ones((2, 160), dtype=np.float32))


def test_a_newer_card_asks_for_an_update(home: LakeFolders) -> None:
    path = home.path / "heads" / "gap" / "card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format_version": FORMAT_VERSION + 1}))
    with pytest.raises(HeadError, match=f"card format {FORMAT_VERSION + 1}, newer than {FORMAT_VERSION}"):
        load_head(home, "gap")


def test_another_encoder_of_the_same_name_is_refused_with_both_digests(
    embedded: matlake.Lake, trained: TrainResult
) -> None:
    card: HeadCard = trained.card
    feature = card.features[0]
    encoder = embedded.find_encoder(feature.encoder).card
    check_encoder(card, feature, encoder)
    with pytest.raises(HeadError) as caught:
        check_encoder(card, feature, replace(encoder, sha256="f" * 64))
    assert feature.sha256 in str(caught.value)
    assert "f" * 64 in str(caught.value)


def test_a_head_says_what_it_was_made_from(embedded: matlake.Lake, trained: TrainResult) -> None:
    head: Head = load_head(embedded, "gap")
    card = head.card
    assert (card.target, card.unit, card.model.kind, card.training.split) == ("band_gap_eV", "eV", "ridge", "random")
    assert card.evaluation.n_train + card.evaluation.n_test == 307
    assert card.evaluation.metrics.mae == trained.metrics.mae
    assert card.model.parity is not None
    assert card.model.parity <= 1e-4
    assert [feature.dim for feature in card.features] == [128, 32]
