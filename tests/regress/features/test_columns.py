"""Columns and crystals that splits need, read beside features and target."""

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from samples import ELASTIC

import matlake
from matlake.errors import TrainingError
from matlake.materials.structure_files.sniff import parse_structure
from matlake.regress.features.feature import resolve_features
from matlake.regress.features.matrix import Matrix, read_matrix
from matlake.regress.splits import parse_split

FEATURE = "elemnet-oqmd-formation-energy@16"
TARGET = "bulk_modulus_VRH_GPa"


def read(lake: matlake.Lake, split: str, **selection: str) -> Matrix:
    needs = parse_split(split)
    return read_matrix(
        lake,
        TARGET,
        resolve_features(lake, [FEATURE]),
        columns=needs.columns,
        crystals=needs.needs_crystals,
        **selection,
    )


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return pq.read_table(ELASTIC).slice(0, 60)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory, table: pa.Table) -> matlake.Lake:
    """60 real crystals; 12 compositions without crystals; one material that the encoder refuses."""
    folder = tmp_path_factory.mktemp("selected")
    dates = pa.array([None, *(date(2020, 1, day) for day in range(1, 13))])
    formulas = ["He", "Fe", "Co", "Ni", "Cu", "Zn", "Al", "Mg", "Ca", "Ti", "V", "Cr", "Mn"]
    columns = {
        "formula": formulas,
        TARGET: [float(row) for row in range(13)],
        "year": [None, *range(2001, 2013)],
        "lab": ["Basel", None, *["Kyoto"] * 11],
        "measured": dates,
    }
    pq.write_table(table, folder / "elastic.parquet")
    pq.write_table(pa.table(columns), folder / "metals.parquet")
    lake = matlake.open_lake(folder / "lake", create=True)
    matlake.import_table(lake, folder / "elastic.parquet", "elastic")
    matlake.import_table(lake, folder / "metals.parquet", "metals")
    matlake.embed(lake, [FEATURE])
    return lake


def test_each_row_has_its_own_crystal_and_none_where_there_is_none(lake: matlake.Lake, table: pa.Table) -> None:
    matrix = read(lake, "space-group")
    assert matrix.crystals is not None
    assert len(matrix.crystals) == len(matrix.y) == 72
    texts = dict(zip(*(table[name].to_pylist() for name in ("material_id", "poscar")), strict=True))
    for row, name in enumerate(matrix.material_id.tolist()):
        if matrix.dataset[row] == "metals":
            assert matrix.crystals.sizes[row] == 0
        else:
            assert matrix.crystals[row].content_hash == parse_structure(texts[name]).content_hash


def test_columns_come_in_the_order_of_rows_and_keep_their_nulls(lake: matlake.Lake) -> None:
    matrix = read(lake, "time:year")
    metals = matrix.dataset == "metals"
    assert matrix.columns["year"][metals].tolist() == (matrix.y[metals] + 2000).tolist()
    assert np.isnan(matrix.columns["year"][~metals]).all()
    labs = read(lake, "column:lab").columns["lab"]
    assert labs[metals].tolist() == [None, *["Kyoto"] * 11]
    dates = read(lake, "time:measured").columns["measured"]
    assert dates.dtype.kind == "M"
    assert np.isnat(dates[~metals]).all()
    days = (dates[metals] - np.datetime64("2020-01-01")) / np.timedelta64(1, "D")
    assert days.tolist() == (matrix.y[metals] - 1).tolist()
    assert set(read(lake, "column:dataset").columns["dataset"].tolist()) == {"elastic", "metals"}


def test_nothing_is_read_that_no_split_needs(lake: matlake.Lake) -> None:
    matrix = read(lake, "random")
    assert matrix.crystals is None
    assert matrix.columns == {}


def test_rows_that_a_split_cannot_place_are_counted(lake: matlake.Lake) -> None:
    held = parse_split("time:year").hold_out(read(lake, "time:year"), 0)
    assert "leaves out 60 without year" in held.description
    held = parse_split("crystal-system:cubic").hold_out(read(lake, "crystal-system:cubic"), 0)
    assert "leaves out 12 without a crystal whose symmetry can be found" in held.description
    with pytest.raises(TrainingError, match="none of the 12 rows has a crystal"):
        parse_split("crystal-system").hold_out(read(lake, "crystal-system", dataset="metals"), 0)


def test_unknown_columns_and_lists_are_refused(lake: matlake.Lake) -> None:
    with pytest.raises(TrainingError, match="no column 'when'") as caught:
        read(lake, "time:when")
    assert "year" in caught.value.hint
    with pytest.raises(TrainingError, match="column 'elements' holds"):
        read(lake, "column:elements")


def test_a_column_name_with_quotes_is_only_a_name(tmp_path: Path, write_table: Callable[..., Path]) -> None:
    name = 'when" FROM x; DROP TABLE y --'
    formulas = "Fe Co Ni Cu Zn Al Mg Ca Ti V Cr Mn".split()
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    values = [float(row) for row in range(12)]
    matlake.import_table(lake, write_table(formula=formulas, **{TARGET: values, name: values}), "small")
    matlake.embed(lake, [FEATURE])
    matrix = read(lake, f"time:{name}")
    assert matrix.columns[name].tolist() == matrix.y.tolist()
