"""What ships is worth its place: every encoder that has learned something adds to descriptors, as measured."""

from pathlib import Path

import pytest

from benchmarks.helpers.shipping_record import CONTROL, SHIPPED, Row, read_record
from benchmarks.helpers.shipping_rule import LEVEL, SMALLEST_GAIN, WEIGHTS_MB, Case, judge
from benchmarks.helpers.shipping_study import CONTROLS, shipped_encoders
from benchmarks.helpers.shipping_tables import verdict_table
from matlake.encoders.card import MODEL_FILE
from matlake.encoders.registry import SHIPPED as FOLDER

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "benchmarks" / "studies" / "encoders.md"


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """What has been measured."""
    return read_record()


@pytest.mark.parametrize("contender", shipped_encoders(), ids=lambda one: one.card.name)
def test_an_encoder_that_ships_adds_to_what_has_learned_nothing(contender, rows: list[Row]) -> None:
    (row,) = (one for one in rows if one.sha256 == contender.card.sha256)
    assert (row.name, row.role, row.features) == (contender.card.name, SHIPPED, contender.features)
    assert row.verdict(rows).ships
    labels = {case.labels for case in row.cases}
    assert (min(labels), max(labels)) == (50, 1000)
    assert {case.folds for case in row.cases} >= {"cluster"}
    if contender.card.input == "crystal":
        assert {case.folds for case in row.cases} == {"random", "cluster", "time"}


def test_what_is_in_the_package_no_more_is_not_said_to_ship(rows: list[Row]) -> None:
    shipped = {one.card.sha256 for one in shipped_encoders()}
    assert {row.sha256 for row in rows if row.role == SHIPPED} == shipped


def test_the_page_says_what_was_measured(rows: list[Row]) -> None:
    assert verdict_table(rows) in PAGE.read_text()


def test_networks_with_random_weights_are_there_for_comparison(rows: list[Row]) -> None:
    assert len({row.sha256 for row in rows if row.role == CONTROL}) == len(CONTROLS)


def test_all_weights_together_are_small() -> None:
    assert sum(file.stat().st_size for file in FOLDER.glob(f"*/{MODEL_FILE}")) <= WEIGHTS_MB * 1_000_000


def case(ratio: float, deviation: float = 0.01, **entries: object) -> Case:
    return Case(
        **{
            "target": "a",
            "folds": "random",
            "labels": 50,
            "ratio": ratio,
            "deviation": deviation,
            "seeds": (ratio, ratio),
        }
        | entries
    )  # type: ignore[arg-type]


def test_a_plain_gain_with_every_seed_is_one() -> None:
    assert judge([case(0.9, seeds=(0.88, 0.92)), case(1.1, target="b")]).added_sets == (("a", "random"),)
    assert not judge([case(0.9, seeds=(0.79, 1.01))]).ships
    assert not judge([]).ships


@pytest.mark.parametrize(
    ("ratio", "deviation"), [(1 - SMALLEST_GAIN + 0.001, 1e-4), (0.9, 0.1), (1.0, 0.0), (1.2, 0.01)]
)
def test_a_gain_that_is_small_or_uncertain_or_a_loss_is_none(ratio: float, deviation: float) -> None:
    assert not judge([case(ratio, deviation)]).ships


def test_more_cases_ask_for_more_certainty() -> None:
    one = case(0.95, 0.025)
    assert 0.01 < one.p < LEVEL
    assert judge([one]).ships
    assert not judge([one, *(case(1.0, 0.02, target=str(place)) for place in range(9))]).ships


def test_certain_cases_make_room_for_less_certain_ones() -> None:
    sure, less = case(0.8, 0.01, target="sure"), case(0.95, 0.025, target="less")
    assert judge([sure, less]).added_sets == (("sure", "random"), ("less", "random"))


def test_one_cluster_may_lose_and_not_two() -> None:
    assert judge([case(0.9, clusters=(0.8, 0.8, 0.9, 0.99, 1.1))]).ships
    assert not judge([case(0.9, clusters=(0.7, 0.8, 0.9, 1.01, 1.1))]).ships


def test_what_a_network_with_random_weights_adds_is_not_learned() -> None:
    control = case(0.92, 0.01, seeds=(0.9, 0.94))
    assert judge([case(0.92, 0.01, seeds=(0.9, 0.94))]).ships
    assert not judge([case(0.9, 0.01, seeds=(0.87, 0.93))], [control]).ships
    (more,) = judge([case(0.8, 0.01, seeds=(0.79, 0.81))], [control]).adds
    assert more.ratio == 0.8
    assert judge([case(0.9, folds="cluster")], [control]).ships
    assert judge([case(0.9)], [case(1.1)]).ships


def test_what_an_encoder_was_trained_on_does_not_count() -> None:
    verdict = judge([case(0.5, learned=True), case(1.0, target="b")])
    assert (verdict.ships, verdict.sets) == (False, (("b", "random"),))


def test_a_row_comes_back_from_the_file_as_it_was(tmp_path: Path) -> None:
    from benchmarks.helpers.shipping_record import merged, write_record

    mine = Row("mine", 1, "1" * 64, CONTROL, ("magpie",), ("mine@1",), (case(0.9, clusters=(0.5, 0.9)),))
    other = Row("other", 2, "2" * 64, SHIPPED, ("magpie",), ("other@1",), ())
    write_record([mine, other], tmp_path / "results" / "shipping.json")
    assert read_record(tmp_path / "results" / "shipping.json") == [mine, other]
    again = merged([mine, other], [Row(**{**vars(other), "cases": mine.cases})], shipped=["1" * 64])
    assert [(row.name, row.role == SHIPPED, len(row.cases)) for row in again] == [
        ("other", False, 1),
        ("mine", False, 1),
    ]
