"""Rows are counted from the logs: no part is opened for what these have recorded."""

import shutil
from pathlib import Path

import pytest
from samples import LAKE_0_1_0

from matlake.store import row_counts
from matlake.store.datasets import list_datasets
from matlake.store.embedding.embedder import embed
from matlake.store.importing.importer import import_table
from matlake.store.lake import Lake, open_lake
from matlake.store.status import status
from matlake.store.tables import delta, parts, writing

COUNT = (
    "SELECT count(*) FILTER (WHERE import_error IS NULL), count(import_error), "
    'count(crystal_hash) FILTER (WHERE import_error IS NULL) FROM internal."rows of {}"'
)

SILICON = "Si\n1\n0 2.7 2.7\n2.7 0 2.7\n2.7 2.7 0\nSi\n2\ndirect\n0 0 0\n0.25 0.25 0.25\n"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = open_lake(tmp_path / "lake", create=True)
    rows = "GaAs,1.4\nnonsense!,1\nGaN,3.4\nSiC,2.4\nBN,6\n" * 3
    (tmp_path / "gaps.csv").write_text(f"formula,gap_eV\n{rows}")
    import_table(lake, tmp_path / "gaps.csv", "gaps")
    return lake


def test_no_part_is_opened_to_count_what_a_lake_holds(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    embed(lake, ["elemnet-oqmd-formation-energy"])
    opened: list[str] = []
    for module in (row_counts, parts):
        for name in ("read_table", "read_schema", "open_parquet", "count_rows"):
            monkeypatch.setattr(module, name, lambda path, *_: opened.append(path.name), raising=False)
    monkeypatch.setattr(Lake, "connect", lambda _: pytest.fail("a connection"))
    document = status(lake).document()
    assert document["datasets"] == [{"name": "gaps", "materials": 12, "properties": ["gap_eV"]}]
    assert [(layer["layer"], layer["vectors"]) for layer in document["encoders"]] == [("1", 4)]
    assert document["failures"] == 3
    assert [(one.materials, one.failures, one.crystals) for one in list_datasets(lake)] == [(12, 3, 0)]
    assert not opened


@pytest.mark.parametrize("version", ["present", "0.1.0"])
def test_the_counts_are_those_of_sql(lake: Lake, tmp_path: Path, version: str) -> None:
    if version == "0.1.0":
        shutil.copytree(LAKE_0_1_0, tmp_path / "old")
        lake = open_lake(tmp_path / "old")
    else:
        (tmp_path / "si.vasp").write_text(SILICON)
        import_table(lake, tmp_path / "si.vasp", "crystals")
        (tmp_path / "unread.csv").write_text("formula,gap_eV\nSiC,about three\nBN,6\nBP,2\n")
        import_table(lake, tmp_path / "unread.csv", "unread")
    with lake.connect() as connection:
        counted = {one.name: connection.execute(COUNT.format(one.name)).fetchall()[0] for one in list_datasets(lake)}
        ((failures,),) = connection.execute("SELECT count(*) FROM failures").fetchall()
        unread = connection.execute("SELECT dataset, count(*) FROM unread_cells GROUP BY 1 ORDER BY 1").fetchall()
    assert counted == {one.name: (one.materials, one.failures, one.crystals) for one in list_datasets(lake)}
    found = status(lake)
    assert found.failures == failures
    assert [(some["dataset"], some["cells"]) for some in found.unread_cells] == unread


def test_a_part_keeps_its_counts_under_another_name(lake: Lake) -> None:
    root = lake.dataset("gaps")
    snapshot = delta.read_snapshot(root)
    assert snapshot is not None
    (part,) = snapshot.parts
    linked = writing.link_part(root, part, "part-other.parquet")
    assert delta.replace_parts(root, {}, {part.path.name}, [linked])
    assert [(one.materials, one.failures) for one in list_datasets(lake)] == [(12, 3)]
    assert linked.nulls["import_error"] == 12
