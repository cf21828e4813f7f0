from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import matlake
from matlake.encoders.encoder import open_encoder
from matlake.errors import EncoderError, QueryError, TrainingError
from matlake.materials.compositions import element_fractions
from matlake.materials.formula import parse_formula
from matlake.materials.periodic_table import ELEMNET_ELEMENTS, SYMBOLS
from matlake.regress.features.feature import resolve_features
from matlake.regress.features.matrix import Matrix, read_matrix
from matlake.store.tables import delta, writing

ENCODER = "elemnet-oqmd-formation-energy"
FEATURES = [f"{ENCODER}@13", f"{ENCODER}@16"]


def read(lake: matlake.Lake, target: str = "band_gap_eV", **selection: str) -> Matrix:
    return read_matrix(lake, target, resolve_features(lake, FEATURES), **selection)


@pytest.fixture
def lake_of(tmp_path: Path, write_table: Callable[..., Path]) -> Callable[..., matlake.Lake]:
    """Make a lake with an embedded dataset ``small`` from columns."""

    def make(**columns: object) -> matlake.Lake:
        lake = matlake.open_lake(tmp_path / "small-lake", create=True)
        matlake.import_table(lake, write_table(**columns), "small")
        matlake.embed(lake, FEATURES)
        return lake

    return make


METALS = ["Fe", "Co", "Ni", "Cu", "Zn", "Al", "Mg", "Ca", "Ti", "V", "Cr", "Mn"]


def test_each_row_holds_the_vectors_target_and_fractions_of_its_own_formula(embedded, gaps) -> None:
    matrix = read(embedded)
    gap = dict(zip(*(pq.read_table(gaps)[name].to_pylist() for name in ("formula", "band_gap_eV")), strict=True))
    assert matrix.x.shape == (307, 128 + 32)
    assert matrix.y.tolist() == [gap[formula] for formula in matrix.formula.tolist()]
    compositions = [parse_formula(formula) for formula in matrix.formula.tolist()]
    fractions = element_fractions(compositions)
    elements = [SYMBOLS.index(symbol) for symbol in ELEMNET_ELEMENTS]
    assert np.array_equal(matrix.fractions[:, elements], fractions)
    assert np.allclose(matrix.fractions.sum(axis=1), 1)
    assert matrix.groups.tolist() == [composition.content_hash for composition in compositions]
    encoder = open_encoder(embedded.find_encoder(ENCODER).folder)
    for layer, columns in (("13", slice(0, 128)), ("16", slice(128, 160))):
        expected = encoder.encode(fractions, layer)
        assert np.abs(matrix.x[:, columns] - expected).max() <= 1e-5 * np.abs(expected).max()


def test_rows_come_in_the_order_of_their_ids(embedded) -> None:
    matrix = read(embedded)
    assert matrix.material_id.tolist() == sorted(matrix.material_id.tolist())
    assert np.array_equal(matrix.x, read(embedded).x)


def test_the_training_query_can_be_repeated_by_hand(embedded) -> None:
    matrix = read(embedded, where="nelements = 3 -- ternaries")
    table = embedded.query(matrix.sql)
    assert table["material_id"].to_pylist() == matrix.material_id.tolist()
    assert 0 < len(matrix.y) < 307


@pytest.mark.parametrize("where", ["nonsense = 1", "dataset", "1; DROP TABLE x", "sum(nelements) > 1"])
def test_what_is_no_predicate_is_refused(embedded, where: str) -> None:
    with pytest.raises(QueryError):
        read(embedded, where=where)


def test_a_dataset_that_is_not_there_is_named(embedded) -> None:
    with pytest.raises(TrainingError, match="no dataset 'gap'") as caught:
        read(embedded, dataset="gap")
    assert "gaps" in caught.value.hint


def test_an_unknown_target_is_answered_with_the_known_ones(embedded) -> None:
    with pytest.raises(TrainingError, match="no column 'band_gap'") as caught:
        read(embedded, "band_gap")
    assert caught.value.hint == "property columns: band_gap_eV"


def test_text_is_no_target(embedded) -> None:
    with pytest.raises(TrainingError, match="holds VARCHAR, not numbers"):
        read(embedded, "formula")


def test_a_layer_that_is_not_embedded_is_answered_with_the_command(embedded) -> None:
    features = resolve_features(embedded, [f"{ENCODER}@2"])
    with pytest.raises(TrainingError, match="nothing is embedded with") as caught:
        read_matrix(embedded, "band_gap_eV", features)
    assert caught.value.cli_hint == f"run `matlake embed --encoder {ENCODER}@2`"


def test_unknown_layers_and_repeated_features_are_refused(embedded) -> None:
    with pytest.raises(EncoderError, match="no layer '99'"):
        resolve_features(embedded, [f"{ENCODER}@99"])
    with pytest.raises(TrainingError, match="named twice"):
        resolve_features(embedded, [ENCODER, f"{ENCODER}@1"])


def test_a_column_name_with_quotes_and_spaces_is_only_a_name(lake_of) -> None:
    name = 'gap "of" x; DROP TABLE y --'
    matrix = read(lake_of(formula=METALS, **{name: [float(i) for i in range(12)]}), name)
    assert sorted(matrix.y.tolist()) == list(range(12))


def test_rows_without_target_are_not_selected(lake_of) -> None:
    matrix = read(lake_of(formula=METALS, energy_eV=[None, float("nan"), *map(float, range(10))]), "energy_eV")
    assert len(matrix.y) == 10
    assert "Fe" not in matrix.formula


def test_infinite_targets_are_counted_and_the_first_is_named(lake_of) -> None:
    lake = lake_of(formula=METALS, energy_eV=[*map(float, range(12))])
    folder = lake.dataset("small")
    table = delta.read_rows(folder).sort_by("source_row")
    energies = pa.array([1.0, float("inf"), float("-inf"), *map(float, range(9))])  # 0.1.0 imported infinity
    table = table.set_column(table.schema.get_field_index("energy_eV"), "energy_eV", energies)
    delta.replace_all(folder, table.schema, [writing.write_part(folder, table, {})], {})
    with pytest.raises(TrainingError, match="energy_eV is not finite in 2 rows, first in small-1 of small") as caught:
        read(lake, "energy_eV")
    advised = caught.value.hint.partition("'")[2].rstrip("'")
    assert len(read(lake, "energy_eV", where=advised).y) == 10


def test_a_target_that_does_not_vary_is_refused(lake_of) -> None:
    with pytest.raises(TrainingError, match="energy_eV is 2 in all 12 rows"):
        read(lake_of(formula=METALS, energy_eV=[2.0] * 12), "energy_eV")


def test_few_rows_are_refused(lake_of) -> None:
    with pytest.raises(TrainingError, match="only 2 rows have energy_eV"):
        read(lake_of(formula=METALS, energy_eV=[1.0, 2.0] + [None] * 10), "energy_eV")


def test_rows_that_the_encoder_refused_are_listed(lake_of) -> None:
    lake = lake_of(formula=[*METALS, "He", "XeHe"], energy_eV=[float(i) for i in range(14)])
    matrix = read(lake, "energy_eV")
    assert len(matrix.y) == len(matrix.x) == len(matrix.fractions) == 12
    assert {(row.material_id, row.feature) for row in matrix.missing} == {
        (name, feature) for name in ("small-12", "small-13") for feature in FEATURES
    }


def test_layers_joined_in_a_name_are_features_of_their_own(embedded) -> None:
    joined = resolve_features(embedded, [f"{ENCODER}@13+16", "magpie"])
    assert [feature.feature for feature in joined] == [*FEATURES, "magpie@attributes"]
    assert joined[:2] == resolve_features(embedded, FEATURES)
    matrix = read_matrix(embedded, "band_gap_eV", joined)
    assert np.array_equal(matrix.x[:, :160], read(embedded).x)
    everything = resolve_features(embedded, [f"{ENCODER}@all"])
    assert [feature.layer for feature in everything] == [str(layer) for layer in range(1, 17)]


@pytest.mark.parametrize("again", ["@13+16", "@16", "@all"])
def test_a_layer_named_twice_is_refused_however_it_is_named(embedded, again: str) -> None:
    with pytest.raises(TrainingError, match="named twice"):
        resolve_features(embedded, [f"{ENCODER}@13+16", ENCODER + again])
