"""Columns of the user's own among the features: read, refused, used by heads, kept apart from other compositions."""

import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from edited_cards import edit_card
from samples import TEMPERATURES_K, gap_shift_eV

import matlake
from matlake.errors import HeadError, TrainingError
from matlake.regress.features.feature import Feature, places_of_columns, resolve_features
from matlake.regress.features.matrix import Matrix, read_matrix
from matlake.regress.features.own_columns import column_named, feature_name, numbers_of
from matlake.regress.heads.card import FORMAT_VERSION
from matlake.regress.heads.card_files import CARD_FILE, read_card
from matlake.regress.heads.feature_search import with_features
from matlake.regress.heads.past import find_past
from matlake.regress.heads.request import TrainRequest
from matlake.regress.heads.storage import find_head, load_head
from matlake.regress.heads.train import train
from matlake.regress.prediction.predict import Predictions
from matlake.regress.splits import parse_split
from matlake.regress.uncertainty.opinions import encoder_blocks
from matlake.regress.uncertainty.projection import components_beside, fit_projection

NAMED = ["fractions", "column:temperature_K"]


@pytest.fixture
def copied(series: matlake.Lake, tmp_path: Path) -> matlake.Lake:
    return matlake.open_lake(shutil.copytree(series.path, tmp_path / "lake"))


def matrix_of_series(lake: matlake.Lake, features: list[str] = NAMED, **options: Any) -> Matrix:
    return read_matrix(lake, "band_gap_eV", resolve_features(lake, features), **options)


def import_rows(lake: matlake.Lake, tmp_path: Path, dataset: str, **columns: object) -> None:
    pq.write_table(pa.table(columns), tmp_path / f"{dataset}.parquet")
    matlake.import_table(lake, tmp_path / f"{dataset}.parquet", dataset)


def test_a_column_is_one_number_beside_the_vectors(series: matlake.Lake) -> None:
    matrix = matrix_of_series(series)
    assert matrix.own == (matrix.x.shape[1] - 1,)
    assert set(matrix.x[:, -1].tolist()) == set(TEMPERATURES_K)
    same = np.flatnonzero(matrix.groups == matrix.groups[0])
    assert len(same) == len(TEMPERATURES_K)
    assert (matrix.x[same, :-1] == matrix.x[same[0], :-1]).all()
    assert len(set(matrix.x[same, -1].tolist())) == len(TEMPERATURES_K)  # rows of one composition stay apart


@pytest.mark.parametrize("written", ["column:TEMPERATURE_k", 'column:"temperature_K"', " column:temperature_K "])
def test_names_know_no_capitals_and_may_stand_in_quotes(series: matlake.Lake, written: str) -> None:
    (feature,) = resolve_features(series, [written])
    assert (feature.feature, feature.column, feature.dim) == ("column:temperature_K", "temperature_K", 1)


@pytest.mark.parametrize("name", ["temperature_K", "T, K", 'a "b"', "gap [eV]", "Δ"])
def test_the_name_of_a_feature_says_which_column_it_is(name: str) -> None:
    assert column_named(feature_name(name)) == name


@pytest.mark.parametrize(
    ("feature", "reason"),
    [
        ("column:phase", "column 'phase' holds VARCHAR, not numbers"),
        ("column:pressure_GPa", "no column 'pressure_GPa'"),
        ("column:formula", "no column 'formula' that could be a feature"),
        ("column:band_gap_eV", "the target band_gap_eV is among the features: that is leakage"),
    ],
)
def test_what_cannot_be_a_feature_is_refused(series: matlake.Lake, feature: str, reason: str) -> None:
    with pytest.raises(TrainingError, match=reason):
        matrix_of_series(series, ["fractions", feature])


def test_a_target_that_is_made_of_a_feature_is_leakage(series: matlake.Lake) -> None:
    features = resolve_features(series, ["fractions", "column:band_gap_eV"])
    with pytest.raises(TrainingError, match="is made of band_gap_eV, which is among the features: that is leakage"):
        read_matrix(series, '2 * "Band_gap_eV" + temperature_K', features)
    with pytest.raises(TrainingError, match="named twice"):
        resolve_features(series, ["column:temperature_K", "column:Temperature_K"])


def test_a_copy_of_the_target_under_another_name_is_leakage(copied: matlake.Lake, tmp_path: Path) -> None:
    gaps = [0.5 + 0.1 * row for row in range(12)]
    import_rows(copied, tmp_path, "twice", formula=["GaN"] * 12, band_gap_eV=gaps, gap=[*gaps[:-1], None])
    with pytest.raises(TrainingError, match="gap, among the features, has the very values of the target band_gap_eV"):
        matrix_of_series(copied, ["fractions", "column:gap"], dataset="twice")


@pytest.mark.parametrize(
    ("value", "number", "reason"),
    [
        (300, 300.0, None),
        ("3e2", 300.0, None),
        (True, 1.0, None),
        (np.float32(0.5), 0.5, None),
        (None, None, "no value of temperature_K (in K)"),
        ("", None, "no value of temperature_K (in K)"),
        (math.nan, None, "no value of temperature_K (in K)"),
        (math.inf, None, "temperature_K (in K) is inf, which is not a finite number"),
        (1e300, None, "temperature_K (in K) is 1e+300, which is not a finite number"),
        ("> 300", None, "temperature_K (in K) is > 300, which is not a finite number"),
        ([300], None, "temperature_K (in K) is [300], which is not a finite number"),
    ],
)
def test_values_are_numbers_or_say_why_not(value: object, number: float | None, reason: str | None) -> None:
    numbers, reasons = numbers_of([value], "temperature_K")
    assert reasons == [reason]
    assert not np.isfinite(numbers[0]) if number is None else numbers[0] == number


def test_rows_without_a_value_are_left_out_by_name(copied: matlake.Lake, tmp_path: Path) -> None:
    import_rows(
        copied,
        tmp_path,
        "more",
        formula=["GaN", "ZnO", "AlN"],
        temperature_K=[None, math.inf, 300.0],
        band_gap_eV=[3.4, 3.3, 6.2],
    )
    matrix = matrix_of_series(copied)
    lacking = {row.material_id: (row.feature, row.reason) for row in matrix.missing if row.dataset == "more"}
    why = "no value of temperature_K (in K)"  # the import has made infinity null
    assert lacking == {"more-0": ("column:temperature_K", why), "more-1": ("column:temperature_K", why)}
    found = matlake.predict_dataset(copied, "gap_of_T", dataset="more")
    assert isinstance(found, Predictions)
    assert [one.columns for one in found.predictions] == [{"temperature_K": 300.0}]
    assert {one.input: one.reason for one in found.failed} == {"more-0": why, "more-1": why}
    import_rows(copied, tmp_path, "none", formula=["GaN"] * 20, band_gap_eV=[3.4] * 20)
    with pytest.raises(TrainingError, match="none of the 20 rows has a value of temperature_K"):
        matrix_of_series(copied, dataset="none")


def test_the_head_follows_the_law(series: matlake.Lake) -> None:
    found = matlake.predict(series, "gap_of_T", ["GaAs"] * 3, columns={"temperature_K": [100, 300, 600]})
    cold, _, hot = (one.value for one in found.predictions)
    law = gap_shift_eV(600) - gap_shift_eV(100)
    assert hot - cold == pytest.approx(law, rel=0.3)
    assert found.predictions[0].document()["columns"] == {"temperature_K": 100.0}
    assert "GaAs, temperature_K 600" in str(found.lines()[1])


def test_compositions_stay_whole_when_rows_are_held_out(series: matlake.Lake) -> None:
    matrix = matrix_of_series(series)
    held = parse_split("random").hold_out(matrix, 0)
    assert not set(matrix.groups[held.train]) & set(matrix.groups[held.test])
    rows = find_past(series, load_head(series, "gap_of_T").card).rows
    assert rows is not None  # found again by query, split and seed
    assert (rows.held_out.test == held.test).all()


def test_the_nearest_training_material_has_the_nearest_temperature(series: matlake.Lake) -> None:
    head = load_head(series, "gap_of_T")
    reference = head.reference
    assert reference is not None
    rows = zip(reference.formula, reference.value, reference.material_id, strict=True)
    ids = {(str(formula), float(value)): str(material) for formula, value, material in rows}
    formula = str(reference.formula[0])
    found = matlake.predict(series, "gap_of_T", [formula] * 4, columns={"temperature_K": [100, 300, 600, 3000]})
    nearest = [one.nearest[0] for one in found.predictions]
    assert [one.formula for one in nearest] == [formula] * 4
    assert len({one.material_id for one in nearest[:3]}) == 3
    assert all(ids[one.formula, one.value] == one.material_id and one.distance < 1e-3 for one in nearest[:3])
    beyond = found.predictions[3]
    assert beyond.ood_score is not None
    assert beyond.ood_score > 1.0
    assert "temperature_K is 3000; training rows have 100 to 600 K" in beyond.warnings


def test_baselines_are_given_the_columns(series: matlake.Lake) -> None:
    """Else a head on fractions would beat the same model on fractions by the temperature alone."""
    card = load_head(series, "gap_of_T").card
    assert card.fractions_baseline.mae == pytest.approx(card.evaluation.metrics.mae, rel=0.02)
    assert card.domain is not None
    assert card.domain.column_ranges == {"temperature_K": (100.0, 300.0, 600.0)}


def test_cards_of_format_5_have_no_columns_and_open(copied: matlake.Lake) -> None:
    path = find_head(copied, "gap_of_T") / CARD_FILE
    assert read_card(path).format_version == FORMAT_VERSION  # an older version refuses it, as it should

    def older(card: dict[str, Any]) -> None:
        card["format_version"] = 5
        del card["domain"]["column_ranges"]
        card["features"] = [{key: one[key] for key in one if key != "column"} for one in card["features"][:1]]

    edit_card(path, older)
    card = read_card(path)
    assert (card.format_version, [one.column for one in card.features]) == (5, [""])


@pytest.mark.parametrize("fault", ["dim", "range"])
def test_a_card_of_columns_that_no_training_makes_is_refused(copied: matlake.Lake, fault: str) -> None:
    def edit(card: dict[str, Any]) -> None:
        if fault == "dim":
            card["features"][1]["dim"] = 2
        else:
            card["domain"]["column_ranges"] = {}

    path = find_head(copied, "gap_of_T") / CARD_FILE
    edit_card(path, edit)
    with pytest.raises(HeadError, match="is not a head's card: column temperature_K has"):
        read_card(path)


def test_several_targets_and_columns_alone_work_too(
    copied: matlake.Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("matlake.regress.heads.train.draw_plots", lambda *_: {})
    table = copied.query("SELECT formula, temperature_K, band_gap_eV FROM series LIMIT 45").to_pydict()
    density = [0.1 + 0.001 * kelvin for kelvin in table["temperature_K"]]
    import_rows(copied, tmp_path, "two", **table, expansion=density)
    request = TrainRequest(
        ["band_gap_eV", "expansion"], ["column:temperature_K"], "ridge", dataset="two", name="two", transform="none"
    )
    train(copied, request)
    found = matlake.predict(copied, "two", ["GaN", "Xx", "GaN"], columns={"temperature_K": [200, 300, None]})
    gap, expansion = found.results
    assert (len(gap.predictions), len(expansion.predictions)) == (1, 1)
    assert expansion.predictions[0].value == pytest.approx(0.3, abs=0.05)
    assert [one.reason for one in gap.failed][1:] == ["no value of temperature_K (in K)"]


def test_the_choice_among_features_keeps_track_of_columns(series: matlake.Lake) -> None:
    features = resolve_features(series, ["column:temperature_K", "fractions"])
    matrix = read_matrix(series, "band_gap_eV", features)
    assert matrix.own == (0,)
    kept, left = with_features(matrix, features, ["fractions@fractions"])
    assert (kept.own, len(left)) == ((), 1)
    kept, left = with_features(matrix, features, ["column:temperature_K"])
    assert (kept.own, kept.x.shape[1]) == ((0,), 1)
    assert kept.take(np.array([0, 1])).own == (0,)


def test_every_encoder_has_its_opinion_with_the_columns() -> None:
    layer, column = Feature("a@1", "a", "1", "", 4), Feature("column:T", "", "", "", 1, column="T")
    other = replace(layer, feature="b@1", encoder="b")
    features = (layer, column, other, replace(column, column="p"))
    assert places_of_columns(features) == (4, 9)
    assert [(block.columns, block.own) for block in encoder_blocks(features)] == [
        ((slice(0, 4), slice(4, 5), slice(9, 10)), 2),
        ((slice(5, 9), slice(4, 5), slice(9, 10)), 2),
    ]
    assert [block.columns for block in encoder_blocks((layer, other))] == [(slice(0, 4),), (slice(4, 8),)]
    assert [block.columns for block in encoder_blocks((column,))] == [(slice(0, 1),)]


def test_a_column_counts_in_distances_as_much_as_all_other_features() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 100)).astype(np.float32)
    projection = fit_projection(x, 0, own=(7,))
    points = projection.scaler.transform(x) @ projection.matrix
    squares = (points**2).mean(axis=0)
    assert squares[-1] == pytest.approx(squares[:-1].sum(), rel=1e-6)
    assert np.count_nonzero(projection.matrix[7]) == 1
    alone = components_beside(rng.normal(size=(50, 5)), (), 3, 0)
    assert alone.shape == (5, 3)


STUDIES: dict[str, Callable[[matlake.Lake, list[str]], object]] = {
    "transfer": lambda lake, named: matlake.evaluate_transfer(lake, matlake.TransferRequest(features=tuple(named))),
    "extrapolation": lambda lake, named: matlake.evaluate_extrapolation(
        lake, matlake.ExtrapolationRequest("band_gap_eV", ("random",), (tuple(named),))
    ),
    "matbench": lambda lake, named: matlake.evaluate_matbench(
        lake, matlake.MatbenchRequest("expt_gap", Path("none"), features=tuple(named))
    ),
}


@pytest.mark.parametrize("study", STUDIES)
def test_studies_of_encoders_refuse_columns(series: matlake.Lake, study: str) -> None:
    with pytest.raises(TrainingError, match=f"evaluate {study} compares encoders and descriptors"):
        STUDIES[study](series, ["column:temperature_K"])
