"""A property has one type in ``materials``, whatever types it has in the datasets."""

from collections.abc import Callable
from datetime import UTC, datetime
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest

from matlake import Lake, embed, import_table, open_lake
from matlake.errors import TrainingError
from matlake.regress.features.feature import resolve_features
from matlake.regress.features.matrix import numeric_columns, read_matrix
from matlake.store.status import status
from matlake.store.tables import delta, writing
from matlake.text_tables import plain_lines

ENCODER = "elemnet-oqmd-formation-energy"
FORMULAS = ["Fe", "Co", "Ni", "Cu", "Zn", "Al", "Mg", "Ca", "Ti", "V", "Cr", "Mn"]
DAY = datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None)
VALUES: dict[str, list[Any]] = {
    "BIGINT": [1, None, 2],
    "DOUBLE": [1.5, None, 2.5],
    "BOOLEAN": [True, None, False],
    "VARCHAR": ["1.5", " 2 ", ">8"],
    "TIMESTAMP": [DAY, None, DAY],
}


@pytest.fixture
def lake_of(tmp_path: Path, write_table: Callable[..., Path]) -> Callable[..., Lake]:
    """Make a lake of datasets ``a``, ``b``, … with a property ``x`` each, as typed in a Parquet file."""

    def make(*values: list[Any], name: str = "x") -> Lake:
        lake = open_lake(tmp_path / "lake", create=True)
        for dataset, some in zip("abcdef", values, strict=False):
            import_table(lake, write_table(formula=FORMULAS[: len(some)], **{name: some}), dataset)
        return lake

    return make


def kind_of(lake: Lake, column: str) -> str:
    return str(lake.query(f"SELECT any_value(typeof({column})) AS kind FROM materials")["kind"][0].as_py())


COMMON = {
    ("BIGINT", "DOUBLE"): "DOUBLE",
    ("BIGINT", "BOOLEAN"): "BIGINT",
    ("BIGINT", "VARCHAR"): "DOUBLE",
    ("BIGINT", "TIMESTAMP"): "DOUBLE",
    ("DOUBLE", "BOOLEAN"): "DOUBLE",
    ("DOUBLE", "VARCHAR"): "DOUBLE",
    ("DOUBLE", "TIMESTAMP"): "DOUBLE",
    ("BOOLEAN", "VARCHAR"): "VARCHAR",
    ("BOOLEAN", "TIMESTAMP"): "VARCHAR",
    ("VARCHAR", "TIMESTAMP"): "VARCHAR",
    ("BIGINT", "DOUBLE", "BOOLEAN", "VARCHAR", "TIMESTAMP"): "DOUBLE",
}


@pytest.mark.parametrize("kinds", COMMON)
def test_types_have_one_in_common_whatever_the_order(lake_of: Callable[..., Lake], kinds: tuple[str, ...]) -> None:
    for order in [*[*permutations(kinds)][::23], kinds[::-1]]:
        lake = lake_of(*(VALUES[kind] for kind in order))
        assert kind_of(lake, "x") == COMMON[kinds]
        for dataset, kind in zip("abcdef", order, strict=False):
            own = lake.query(f"SELECT x, typeof(x) AS kind FROM {dataset} ORDER BY material_id").to_pylist()
            assert {row["kind"] for row in own} == {kind}
            assert [row["x"] for row in own] == VALUES[kind]


def test_text_that_is_no_number_reads_as_null_and_is_counted(lake_of: Callable[..., Lake]) -> None:
    lake = lake_of([1.5, 2.5], ["1.5", " 2 ", ">8", "inf", "nan", "1e999", "0x1F", "", "1_0", "-3e-1"], [DAY, None])
    found = lake.query("SELECT x FROM materials WHERE dataset = 'b' ORDER BY length(material_id), material_id")
    assert found["x"].to_pylist() == [1.5, 2.0, None, None, None, None, None, None, None, -0.3]
    assert lake.query("SELECT max(x) AS x FROM materials")["x"].to_pylist() == [2.5]
    assert status(lake).text_read_as_null == [
        {"dataset": "b", "property": "x", "values": 7},
        {"dataset": "c", "property": "x", "values": 1},
    ]
    assert any("7 values of x in b are null in materials" in line for line in plain_lines(status(lake).lines()))
    assert numeric_columns(lake) == ["x"]


def test_names_that_differ_in_capitals_are_one_property(
    write_table: Callable[..., Path], lake_of: Callable[..., Lake]
) -> None:
    lake = lake_of([1, 2], name="Band_gap")
    import_table(lake, write_table(formula=["Si", "Ge"], band_gap=["1.1", "low"]), "b")
    assert lake.query("SELECT dataset, band_gap AS gap FROM materials ORDER BY material_id").to_pylist() == [
        {"dataset": "a", "gap": 1.0},
        {"dataset": "a", "gap": 2.0},
        {"dataset": "b", "gap": 1.1},
        {"dataset": "b", "gap": None},
    ]


def test_a_column_that_is_empty_in_one_dataset_takes_no_text_from_another(
    lake_of: Callable[..., Lake], tmp_path: Path
) -> None:
    lake = lake_of(["rutile", "anatase"], name="phase")
    (tmp_path / "t.csv").write_text("formula,phase\nSi,\nGe,N/A\n")
    import_table(lake, tmp_path / "t.csv", "b")
    assert kind_of(lake, "phase") == "VARCHAR"
    assert lake.query("SELECT count(phase) AS n FROM materials")["n"].to_pylist() == [2]


def test_a_dataset_reads_its_own_column(lake_of: Callable[..., Lake]) -> None:
    numbers = [float(n) for n in range(12)]
    lake = lake_of(numbers, [str(n) for n in range(11)] + [">8"])
    embed(lake, [ENCODER])
    features = resolve_features(lake, [ENCODER])
    assert len(read_matrix(lake, "x", features).y) == 23  # text that is a number is one
    assert read_matrix(lake, "x", features, dataset="a").y.tolist() == sorted(numbers, key=lambda n: f"a-{n:.0f}")
    with pytest.raises(TrainingError, match=r"holds VARCHAR, not numbers, in dataset b: 1 of its 12 values .* '>8'"):
        read_matrix(lake, "x", features, dataset="b")
    (own,) = read_matrix(lake, "x", features, dataset="a", columns=("x",)).columns.values()
    assert own.dtype == float


def test_columns_of_a_split_are_the_datasets_own(
    lake_of: Callable[..., Lake], write_table: Callable[..., Path]
) -> None:
    lake = lake_of([1] * 12, name="phase")
    phases = ["rutile", "anatase"] * 6
    import_table(lake, write_table(formula=FORMULAS, phase=phases, gap_eV=[float(n) for n in range(12)]), "b")
    embed(lake, [ENCODER])
    features = resolve_features(lake, [ENCODER])
    found = read_matrix(lake, "gap_eV", features, dataset="b", columns=("phase",))
    assert sorted(found.columns["phase"].tolist()) == sorted(phases)
    with pytest.raises(TrainingError, match="dataset a has no column 'gap_eV'"):
        read_matrix(lake, "gap_eV", features, dataset="a")


def test_a_predicate_of_embed_compares_numbers(lake_of: Callable[..., Lake]) -> None:
    lake = lake_of([1.5, 20.0], ["1.5", "20", ">8"])
    assert embed(lake, [ENCODER], where="x > 3").embedded == 1
    assert embed(lake, [ENCODER], where="x > 1").embedded == 1


def test_datasets_without_the_list_of_unread_cells_open(lake_of: Callable[..., Lake]) -> None:
    lake = lake_of([1.5, 2.5])
    table = delta.read_rows(lake.dataset("a")).drop_columns(["unread_cells"])  # as 0.1.0 wrote it
    delta.replace_all(lake.dataset("a"), table.schema, [writing.write_part(lake.dataset("a"), table, {})], {})
    assert lake.query("SELECT * FROM unread_cells").num_rows == 0
    assert lake.query("SELECT x FROM materials").num_rows == 2
    assert status(lake).unread_cells == []


def test_a_dataset_named_like_the_view_takes_its_place(
    lake_of: Callable[..., Lake], write_table: Callable[..., Path]
) -> None:
    lake = lake_of([1.5])
    import_table(lake, write_table(formula=["Si"], gap_eV=[1.1]), "named")
    lake.dataset("named").rename(lake.datasets_folder / "Unread_Cells")  # as 0.1.0 let it be called
    assert lake.query("SELECT gap_eV FROM unread_cells")["gap_eV"].to_pylist() == [1.1]
