"""Every split, held to the same rules on random and on real rows."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matrices import matrix_of

from matlake.errors import TrainingError
from matlake.regress.features.matrix import Matrix
from matlake.regress.splits import SPLITS, HeldOut, parse_split

OF_COMPOSITIONS = [
    "random",
    "chemical-system",
    "element",
    "element:O",
    "group",
    "group:chalcogens",
    "period:4",
    "cluster",
    "cluster:1",
    "sparse:map",
    "sparse:x",
    "value:high",
    "value:low",
    "time:year",
    "time:year>2005",
    "column:place",
]
OF_CRYSTALS = ["space-group", "space-group:225", "crystal-system", "crystal-system:cubic"]

FORMULAS = (
    "Fe Fe2O3 Fe3O4 NaCl KCl MgO CaO TiO2 Ti2O3 SiO2 Si SiC GaAs GaN InP ZnS ZnO CdTe PbS PbTe LiF BaTiO3 SrTiO3 "
    "LaMnO3 UO2 CeO2 Cu2O CuFeS2 Al2O3 AlN"
).split()


@st.composite
def rows(draw: st.DrawFn) -> Matrix:
    """Rows of a few compositions, each with several polymorphs: own features, target, year (or none) and place."""
    count = draw(st.integers(30, 90))
    formulas = draw(st.lists(st.sampled_from(FORMULAS), min_size=count, max_size=count))
    y = draw(st.lists(st.sampled_from([0.0, 0.0, 1.5, 2.0, 3.25]), min_size=count, max_size=count))
    years = draw(st.lists(st.sampled_from([np.nan, 1999.0, 2004.0, 2010.0]), min_size=count, max_size=count))
    places = draw(st.lists(st.sampled_from([None, "Basel", "Kyoto", "Delft"]), min_size=count, max_size=count))
    x = np.random.default_rng(draw(st.integers(0, 99))).normal(size=(count, 3)).astype(np.float32)
    return matrix_of(formulas, y, x, {"year": np.array(years), "place": np.array(places, dtype=object)})


def check(matrix: Matrix, held: HeldOut) -> None:
    parts = [held.train, held.test, held.dropped]
    assert sorted(np.concatenate(parts)) == list(range(len(matrix.y)))
    assert not set(matrix.groups[held.train]) & set(matrix.groups[held.test])
    assert all(np.array_equal(part, np.sort(part)) for part in parts)
    assert len(np.unique(matrix.y[held.train])) > 1
    assert held.description.startswith(f"tests {len(held.test):,} of {len(matrix.y):,} rows")
    assert f"trains on {len(held.train):,}" in held.description
    assert bool(len(held.dropped)) == ("leaves out" in held.description)


@pytest.mark.parametrize("text", OF_COMPOSITIONS)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(matrix=rows(), seed=st.integers(0, 9))
def test_sides_are_disjoint_share_no_composition_and_rows_left_out_are_counted(
    text: str, matrix: Matrix, seed: int
) -> None:
    split = parse_split(text)
    try:
        held = split.hold_out(matrix, seed)
    except TrainingError as refused:
        assert any(letter.isdigit() for letter in str(refused))  # noqa: PT017 - some of the rows cannot be split
    else:
        check(matrix, held)
        again = split.hold_out(matrix, seed)
        assert np.array_equal(held.test, again.test)
        assert held.description == again.description


@pytest.mark.parametrize("text", [text for text in OF_COMPOSITIONS if "time" not in text and "column" not in text])
def test_real_compositions_can_be_split_once_and_into_folds(gaps, text: str) -> None:
    split = parse_split(text)
    check(gaps, split.hold_out(gaps, 0))
    folds = list(split.folds(gaps, 0))
    assert folds
    assert len({fold.label for fold in folds}) == len(folds)
    for fold in folds:
        check(gaps, fold)


@pytest.mark.parametrize("text", OF_CRYSTALS)
def test_real_crystals_can_be_split_once_and_into_folds(elastic, text: str) -> None:
    split = parse_split(text)
    assert split.needs_crystals
    held = split.hold_out(elastic, 0)
    check(elastic, held)
    assert 0 < len(held.dropped) < 40, "polymorphs of what is tested do not train"
    folds = list(split.folds(elastic, 0))
    assert len(folds) > 3
    for fold in folds:
        check(elastic, fold)


@pytest.mark.parametrize(
    ("typed", "text"),
    [
        ("element:fe", "element:Fe"),
        (" Element:O ", "element:O"),
        ("chemical_system:O-Fe", "chemical-system:Fe-O"),
        ("group:Halogens", "group:halogens"),
        ("group:017", "group:17"),
        ("crystal-system:Cubic", "crystal-system:cubic"),
        ("value", "value:high"),
        ("sparse", "sparse:map"),
        ("time:year > 2015", "time:year>2015"),
        ("column:lab:ETH: Basel", "column:lab:ETH: Basel"),
    ],
)
def test_a_split_has_one_spelling(typed: str, text: str) -> None:
    assert parse_split(typed).text == text
    assert parse_split(text).text == text


def test_splits_say_what_they_need() -> None:
    assert parse_split("time:year>2015").columns == ("year",)
    assert parse_split("column:lab:Basel").columns == ("lab",)
    assert parse_split("element:O").columns == ()
    assert [text for text in [*OF_COMPOSITIONS, *OF_CRYSTALS] if parse_split(text).needs_crystals] == OF_CRYSTALS


@pytest.mark.parametrize("text", ["scaffold", "", ":", "random2:3"])
def test_an_unknown_split_is_answered_with_those_that_are_known(text: str) -> None:
    with pytest.raises(TrainingError, match="unknown split") as caught:
        parse_split(text)
    assert all(method.usage in caught.value.hint for method in SPLITS.values())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("random:3", "takes no argument"),
        ("element:", "lacks"),
        ("time", "lacks"),
        ("column", "lacks"),
        ("matfold", "lacks"),
        ("element:Xx", "'Xx' is not an element"),
        ("chemical-system:Fe-Xx", "'Xx' is not an element"),
        ("group:19", "'19' is not a group"),
        ("group:metals", "'metals' is not a group"),
        ("group:²", "is not a group"),
        ("period:0", "'0' is not a period"),
        ("space-group:231", "'231' is not a space group"),
        ("space-group:Fm-3m", "'Fm-3m' is not a space group"),
        ("crystal-system:round", "'round' is not a crystal system"),
        ("cluster:11", "no cluster '11'"),
        ("cluster:0", "no cluster '0'"),
        ("sparse:y", "'y'"),
        ("value:middle", "'middle' is not an end"),
        ("time:year>", "does not name a column of times"),
        ("time:>2015", "does not name a column of times"),
        ("column:lab:", "does not name a column"),
        ("matfold:index", "no scheme 'index'"),
        ("matfold:elements:1", "'1' is not a valid number of folds"),
    ],
)
def test_a_bad_argument_is_refused_with_what_may_be_typed(text: str, message: str) -> None:
    with pytest.raises(TrainingError, match=message) as caught:
        parse_split(text)
    assert caught.value.hint


def test_the_documentation_lists_every_split() -> None:
    text = (Path(__file__).parents[3] / "docs" / "science" / "splits.md").read_text().replace("\\|", "|")
    for method in SPLITS.values():
        assert f"`{method.usage}`" in text
