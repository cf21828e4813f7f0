"""matlake in scikit-learn: its own estimator checks, pipelines, searches, copies, names of features, and splits."""

import copy
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from sample_crystals import caesium_chloride, rock_salt
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import SkipTestWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import check_estimator, parametrize_with_checks

import matlake
from matlake.errors import EncoderError, MatlakeError, NotEncodedError, NotEncodedWarning, SourceError, TrainingError
from matlake.materials.crystal import Crystal
from matlake.sklearn import Embedder, HeadRegressor, Split

FORMULAS = ["GaAs", "NaCl", "TiO2", "Fe2O3"]


@pytest.fixture(scope="module")
def gaps_table() -> pd.DataFrame:
    """Real band gaps of 120 compositions."""
    table = pd.read_parquet(Path(matlake.__file__).parent / "data" / "expt_gap.parquet")[::20][:120]
    return table.reset_index(drop=True)


EXPECTED = {"check_sample_weight_equivalence_on_dense_data": "standardisation does not weigh rows"}


@parametrize_with_checks([HeadRegressor("ridge"), HeadRegressor("svr")], expected_failed_checks=lambda _: EXPECTED)
def test_the_regressor_passes_the_checks_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


@pytest.mark.parametrize(
    "check",
    [
        "check_estimator_cloneable",
        "check_estimator_repr",
        "check_estimator_tags_renamed",
        "check_get_params_invariance",
        "check_mixin_order",
        "check_no_attributes_set_in_init",
        "check_parameters_default_constructible",
        "check_set_params",
        "check_valid_tag_types",
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_the_transformer_passes_the_checks_that_need_no_matrix_of_numbers(check: str) -> None:
    """All others fit random numbers, which are no materials: scikit-learn leaves them out of what takes text."""
    getattr(estimator_checks, check)("Embedder", Embedder("magpie"))


def test_the_transformer_passes_all_checks_that_are_left() -> None:
    with pytest.warns(SkipTestWarning, match="Can't test estimator Embedder"):
        check_estimator(Embedder("magpie"))


def test_vectors_are_those_of_encode_whatever_holds_the_materials() -> None:
    expected = matlake.encode(FORMULAS, "magpie")
    frame = pd.DataFrame({"formula": FORMULAS, "T_K": [1, 2, 3, 4]})
    embedder = Embedder("magpie")
    for given in (
        FORMULAS,
        tuple(FORMULAS),
        [[formula] for formula in FORMULAS],
        np.array(FORMULAS),
        np.array(FORMULAS, dtype=object)[:, None],
        pd.Series(FORMULAS, index=[9, 8, 7, 6]),
        pl.Series(FORMULAS),
        frame[["formula"]],
        pl.DataFrame({"formula": FORMULAS}),
        pa.table({"formula": FORMULAS}),
    ):
        found = embedder.fit_transform(given)
        assert found.dtype == np.float32
        assert np.array_equal(found, expected)
    assert np.array_equal(Embedder("magpie", column="formula").fit_transform(frame), expected)
    assert np.array_equal(embedder.transform(FORMULAS), clone(embedder).transform(FORMULAS))  # no fit is needed


def test_structures_and_several_features_stand_side_by_side() -> None:
    crystals = [rock_salt(), caesium_chloride()]
    found = Embedder(["geometry", "magpie"]).fit_transform(np.array([*crystals, None], dtype=object)[:2])
    assert np.array_equal(found, matlake.encode(crystals, "geometry,magpie"))


@pytest.mark.parametrize(
    ("given", "settings", "error", "said"),
    [
        (FORMULAS, {"features": "unknown"}, EncoderError, "no encoder named 'unknown'"),
        (FORMULAS, {"features": ["magpie", "magpie"]}, EncoderError, "named twice"),
        (FORMULAS, {"column": "formula"}, SourceError, "has no columns"),
        (pd.DataFrame({"a": ["GaAs"], "b": ["NaCl"]}), {}, SourceError, "2 columns, and none is named"),
        (pd.DataFrame({"a": ["GaAs"], "b": ["NaCl"]}), {"column": "c"}, SourceError, "no column 'c'"),
        (np.zeros((3, 4)), {}, SourceError, "4 columns"),
        (np.zeros((3, 1)), {}, SourceError, "numbers are given"),
        ("GaAs", {}, SourceError, "one str is given"),
        ([], {}, SourceError, "0 samples"),
        (["GaAs", "not a formula"], {}, NotEncodedError, "1 of 2 materials .* row 1"),
        (FORMULAS, {"errors": "ignore"}, MatlakeError, "errors='ignore'"),
    ],
)
def test_what_cannot_be_embedded_is_refused_in_one_line(
    given: Any, settings: dict[str, Any], error: type[MatlakeError], said: str
) -> None:
    with pytest.raises(error, match=said) as caught:
        Embedder(**{"features": "magpie", **settings}).fit_transform(given)
    assert caught.value.hint


def test_rows_without_a_vector_can_be_nan() -> None:
    embedder = Embedder("magpie", errors="nan")
    with pytest.warns(NotEncodedWarning, match="1 of 3"):
        found = embedder.fit_transform(["GaAs", "not a formula", "NaCl"])
    assert np.isnan(found).all(axis=1).tolist() == [False, True, False]
    pipeline = make_pipeline(embedder, HistGradientBoostingRegressor(max_iter=2, min_samples_leaf=1))
    with pytest.warns(NotEncodedWarning):
        pipeline.fit(["GaAs", "nothing", "NaCl", "Si"], [1.4, 0.0, 8.5, 1.1])


def test_features_have_names() -> None:
    names = Embedder(["geometry", "chgnet-mptrj@0"]).fit(FORMULAS).get_feature_names_out()
    assert names[2] == "geometry: density (g/cm³)"
    assert names[-1] == "chgnet-mptrj@0_63"
    assert len(set(names)) == len(names)


def test_output_can_be_a_dataframe() -> None:
    frame = pd.DataFrame({"formula": FORMULAS}, index=[*"abcd"])
    embedder = Embedder("fractions").set_output(transform="pandas")
    found = embedder.fit_transform(frame)
    assert found.index.tolist() == [*"abcd"]
    assert found.loc["b", "fractions: Na"] == 0.5
    assert Embedder("fractions").set_output(transform="polars").fit_transform(FORMULAS)["fractions: Na"][1] == 0.5
    union = FeatureUnion([("a", Embedder("fractions")), ("b", Embedder("magpie"))]).set_output(transform="pandas")
    assert "b__magpie: 2-norm" in union.fit_transform(FORMULAS).columns


def test_a_copy_holds_parameters_and_no_session() -> None:
    embedder = Embedder(["magpie"], column="formula", workers=1)
    frame = pd.DataFrame({"formula": FORMULAS})
    expected = embedder.fit_transform(frame)
    written = pickle.dumps(embedder)
    assert len(written) < 1000
    for again in (pickle.loads(written), copy.deepcopy(embedder), clone(embedder)):  # noqa: S301 - our own
        assert again.get_params() == embedder.get_params()
        assert np.array_equal(again.transform(frame), expected)
    assert embedder.feature_names_in_.tolist() == ["formula"]


def test_columns_of_numbers_stand_beside_the_embedding() -> None:
    frame = pd.DataFrame({"formula": FORMULAS, "T_K": [300.0, 310.0, 320.0, 330.0]})
    both = ColumnTransformer([("formula", Embedder("magpie"), "formula"), ("own", StandardScaler(), ["T_K"])])
    assert both.fit_transform(frame).shape == (4, 146)
    assert both.get_feature_names_out()[-1] == "own__T_K"


def test_features_are_searched_in_a_pipeline(gaps_table: pd.DataFrame) -> None:
    pipeline = make_pipeline(Embedder("fractions"), StandardScaler(), Ridge(10.0))
    grid = {"embedder__features": ["fractions", ["fractions", "magpie"]]}
    search = GridSearchCV(pipeline, grid, cv=Split("chemical-system"), scoring="neg_mean_absolute_error", n_jobs=1)
    search.fit(gaps_table["formula"], gaps_table["band_gap_eV"])
    assert search.best_params_["embedder__features"] == ["fractions", "magpie"]
    assert search.predict(["GaAs"]).shape == (1,)


def test_a_regressor_of_heads_has_intervals_that_hold(gaps_table: pd.DataFrame) -> None:
    x, y = matlake.encode(gaps_table["formula"], "magpie"), gaps_table["band_gap_eV"].to_numpy()
    regressor = HeadRegressor("svr").fit(x[:90], y[:90])
    predicted, interval = regressor.predict(x, return_interval=True)
    assert regressor.parameters_["C"] > 0.0
    assert np.array_equal(predicted, pickle.loads(pickle.dumps(regressor)).predict(x))  # noqa: S301 - our own
    assert np.array_equal(predicted, HeadRegressor("svr").fit(x[:90], y[:90]).predict(x))
    assert np.mean((interval[:, 0] <= y) & (y <= interval[:, 1])) >= 0.75
    assert 0.0 < regressor.half_width_ < np.ptp(y)
    assert HeadRegressor().fit(x[:4], y[:4]).half_width_ == np.inf
    with pytest.raises(TrainingError, match="unknown model"):
        HeadRegressor("unknown").fit(x, y)
    with pytest.raises(TrainingError, match="knn takes no weights"):
        HeadRegressor("knn").fit(x, y, sample_weight=np.ones(len(y)))


def splits(split: Split, x: Any, **settings: Any) -> list[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    found = list(split.split(x, **settings))
    assert split.get_n_splits(x, **settings) == len(found)
    for train, test in found:
        assert not np.intersect1d(train, test).size
    return found


def test_a_named_part_is_held_out_alone_and_others_in_turn(gaps_table: pd.DataFrame) -> None:
    formulas = gaps_table["formula"]
    ((train, test),) = splits(Split("element:O"), formulas)
    assert all("O" in formulas[row] for row in test)
    assert {*test, *train} <= set(range(len(formulas)))
    assert len(splits(Split("element"), formulas)) > 10
    assert len(splits(Split("random"), formulas)) == 5
    labels = [held.label for held in Split("element").held_out(formulas)]
    assert "O" in labels


def test_a_composition_is_on_one_side_only(gaps_table: pd.DataFrame) -> None:
    formulas = [*gaps_table["formula"], *gaps_table["formula"]]
    for train, test in splits(Split("random", random_state=3), formulas):
        assert not {formulas[row] for row in train} & {formulas[row] for row in test}


def test_clusters_are_found_in_vectors_or_in_features(gaps_table: pd.DataFrame) -> None:
    formulas, y = gaps_table["formula"], gaps_table["band_gap_eV"].to_numpy()
    x = matlake.encode(formulas, "magpie")
    by_vectors = splits(Split("cluster"), x, y=y, groups=formulas)
    by_default = splits(Split("cluster"), formulas, y=y)
    by_name = splits(Split("cluster", features="magpie", column="formula"), gaps_table, y=y)
    for other in (by_default, by_name):
        assert all(np.array_equal(a[1], b[1]) for a, b in zip(by_vectors, other, strict=True))
    pipeline = make_pipeline(StandardScaler(), Ridge(10.0))
    scores = cross_val_score(pipeline, x, y, cv=Split("cluster:1"), groups=formulas)
    assert scores.shape == (1,)


def test_columns_of_a_dataframe_and_classes_are_split_by(gaps_table: pd.DataFrame) -> None:
    frame = gaps_table.assign(laboratory=np.where(np.arange(len(gaps_table)) % 3 == 0, "north", "south"))
    ((_, test),) = splits(Split("column:laboratory:north", column="formula"), frame)
    assert set(frame["laboratory"][test]) == {"north"}
    ((train, test),) = splits(Split("value:high"), frame["formula"], y=frame["band_gap_eV"].to_numpy())
    assert frame["band_gap_eV"][train].max() <= frame["band_gap_eV"][test].min()
    metal = np.where(frame["band_gap_eV"] == 0.0, "metal", "other")
    pipeline = make_pipeline(Embedder("magpie"), StandardScaler(), LogisticRegression(max_iter=500))
    predicted = cross_val_predict(pipeline, frame["formula"], metal, cv=Split())
    assert set(predicted) <= {"metal", "other"}


def test_crystals_are_split_by_symmetry() -> None:
    """Ten of each kind, every one with an element of its own, and a formula, whose symmetry nobody knows."""
    crystals = [
        Crystal(np.where(kind.numbers == kind.numbers[0], z, kind.numbers[-1]), kind.lattice, kind.positions)
        for kind, first in ((rock_salt(), 19), (caesium_chloride(), 37))
        for z in range(first, first + 10)
    ]
    held_out = Split("space-group").held_out([*crystals, "GaAs"])
    assert {held.label: held.test.tolist() for held in held_out} == {"221": [*range(10, 20)], "225": [*range(10)]}
    assert all(20 in held.dropped for held in held_out)


def test_what_cannot_be_split_is_refused() -> None:
    with pytest.raises(TrainingError, match="only 4 different compositions"):
        splits(Split(), FORMULAS)
    with pytest.raises(MatlakeError, match="row 1"):
        splits(Split(), ["GaAs", "not a formula"])
    with pytest.raises(TrainingError, match="unknown split"):
        Split("nothing")
    with pytest.raises(SourceError, match="needs the column 'year'"):
        splits(Split("time:year"), FORMULAS)
    assert repr(Split("element:O", column="formula")) == "Split('element:O', column='formula', random_state=0)"


def test_the_package_imports_scikit_learn_when_it_is_used() -> None:
    code = (
        "import sys, matlake\n"
        "assert 'sklearn' in dir(matlake) and 'sklearn' not in sys.modules\n"
        "sys.modules['sklearn'] = None\n"
        "import importlib.util; found = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *more: None if name == 'sklearn' else found(name, *more)\n"
        "try:\n    matlake.sklearn.Embedder\n"
        "except matlake.MatlakeError as error:\n    print(type(error).__name__, error.hint)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert ended.stdout.strip() == "MissingExtraError pip install 'matlake[heads]'"
