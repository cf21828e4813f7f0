"""SQL: the views of the contract, and nothing but the lake."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from samples import ENCODER

from matlake import Lake, embed, import_table
from matlake.encoders import registry
from matlake.errors import QueryError
from matlake.store.sql_output import render
from matlake.store.status import status
from matlake.text_tables import plain_lines

FEATURE = f"{ENCODER}@16"


def test_views_have_the_columns_of_the_contract(lake: Lake) -> None:
    embed(lake, [ENCODER, FEATURE])

    def columns(view: str) -> list[str]:
        return list(lake.query(f"SELECT * FROM {view} LIMIT 0").column_names)

    assert columns("materials") == [
        "dataset",
        "material_id",
        "formula",
        "elements",
        "nelements",
        "nsites",
        "band_gap_eV",
    ]
    assert columns("gaps") == columns("materials")
    assert columns("embeddings") == ["dataset", "material_id", "encoder", "layer", "vector"]
    assert columns(f'embed."{ENCODER}"') == ["dataset", "material_id", "vector"]
    assert columns("failures")[:2] == ["dataset", "material_id"]
    (kind,) = lake.query(f'SELECT DISTINCT typeof(vector) AS kind FROM embed."{FEATURE}"').to_pylist()
    assert kind == {"kind": "FLOAT[32]"}


def test_materials_join_properties_of_all_datasets(lake: Lake, write_table: Callable[..., Path]) -> None:
    import_table(lake, write_table(formula=["Si"], bulk_modulus_VRH_GPa=[97.8]), "elastic")
    rows = lake.query("SELECT dataset, band_gap_eV, bulk_modulus_VRH_GPa FROM materials WHERE dataset = 'elastic'")
    assert rows.to_pylist() == [{"dataset": "elastic", "band_gap_eV": None, "bulk_modulus_VRH_GPa": 97.8}]
    assert len(lake.query("SELECT * FROM materials")) == 301


def test_views_of_an_empty_lake_are_empty(tmp_path: Path) -> None:
    from matlake import open_lake

    lake = open_lake(tmp_path / "new", create=True)
    for view in ("materials", "embeddings", "failures"):
        assert lake.query(f"SELECT * FROM {view}").num_rows == 0


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_csv('{lake}/../secret.csv')",
        "SELECT * FROM glob('/etc/*')",
        "COPY (SELECT 1) TO '{lake}/stolen.csv'",
        "ATTACH '{lake}/new.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "DROP VIEW materials",
        "CREATE TABLE x AS SELECT 1",
        "SELECT 1; SELECT 2",
        "SELECT * FROM nothing",
        "SELEC",
        "",
    ],
)
def test_sql_reads_the_lake_and_nothing_else(lake: Lake, statement: str) -> None:
    (lake.path.parent / "secret.csv").write_text("a\n1\n")
    before = sorted(lake.path.rglob("*"))
    with pytest.raises(QueryError):
        lake.query(statement.format(lake=lake.path))
    assert sorted(lake.path.rglob("*")) == before


def test_settings_cannot_be_undone_inside_a_connection(lake: Lake) -> None:
    import duckdb

    with lake.connect() as connection, pytest.raises(duckdb.Error):
        connection.execute("SET enable_external_access = true")


def test_results_are_rendered_in_each_format(lake: Lake, tmp_path: Path) -> None:
    table = lake.query("SELECT 1 AS n, 'a,b' AS text, [1.5, 2.0] AS list, NULL AS nothing")
    assert json.loads(render(table, "json")) == [{"n": 1, "text": "a,b", "list": [1.5, 2.0], "nothing": None}]
    assert render(table, "csv").decode().splitlines() == ['"n","text","list","nothing"', '1,"a,b","[1.5, 2.0]",']
    assert render(table, "table").decode().splitlines()[2].split() == ["1", "a,b", "[1.5,", "2.0]"]
    (tmp_path / "t.parquet").write_bytes(render(table, "parquet"))
    assert pq.read_table(tmp_path / "t.parquet").num_rows == 1


def test_status_counts_what_is_there(lake: Lake) -> None:
    embed(lake, [FEATURE])
    document = status(lake).document()
    assert document["datasets"] == [{"name": "gaps", "materials": 300, "properties": ["band_gap_eV"]}]
    assert [(e["name"], e["layer"], e["vectors"]) for e in document["encoders"]] == [(ENCODER, "16", 300)]
    assert document["heads"] == []
    assert document["failures"] == 0
    assert ["gaps", "300", "band_gap_eV"] in [line.split() for line in plain_lines(status(lake).lines())]


def test_a_connection_reads_the_cards_of_what_is_embedded_once(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    embed(lake, [FEATURE])
    read: list[Path] = []
    inner = registry.read_card
    monkeypatch.setattr(registry, "read_card", lambda folder: read.append(folder) or inner(folder))
    with lake.connect():
        names = [folder.name for folder in read]
    assert set(names) == {ENCODER}
    assert len(names) <= 2  # that of the package, and the copy in the lake
