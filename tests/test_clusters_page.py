"""The page on clusters: other engines read the tables of a lake as it says."""

import re
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq
import pytest
from samples import BUNDLED

import matlake
from matlake.store.tables import delta

PAGE: Final = (Path(__file__).parents[1] / "docs" / "guides" / "clusters.md").read_text()
EXAMPLE: Final = re.compile(r"^(\w+):\n\n(?:<!-- [^\n]* -->\n)?```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCKS: Final = dict(EXAMPLE.findall(PAGE))


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> matlake.Lake:
    folder = tmp_path_factory.mktemp("clusters")
    pq.write_table(pq.read_table(BUNDLED / "mp_elasticity.parquet").slice(0, 40), folder / "elastic.parquet")
    made = matlake.open_lake(folder / "lake", create=True)
    matlake.import_table(made, folder / "elastic.parquet", "elastic")
    matlake.embed(made, ["magpie", "fractions"])
    return made


@pytest.fixture
def run(lake: matlake.Lake, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the example of an engine and return its names."""

    def run_block(engine: str) -> dict[str, Any]:
        for variable in ("DO_NOT_TRACK", "SCARF_NO_ANALYTICS"):
            monkeypatch.setenv(variable, "true")
        monkeypatch.setenv("DAFT_ANALYTICS_ENABLED", "0")
        monkeypatch.chdir(Path(lake.path).parent)
        names: dict[str, Any] = {}
        exec(BLOCKS[engine], names)  # noqa: S102 - our own page
        return names

    return run_block


def expected(lake: matlake.Lake) -> dict[str, list[float]]:
    rows = lake.sql('SELECT material_id, vector FROM embed."magpie" ORDER BY material_id').arrow().to_pylist()
    return {row["material_id"]: row["vector"] for row in rows}


def test_polars_reads_a_lake(lake: matlake.Lake, run: Any) -> None:
    pytest.importorskip("polars")
    names = run("Polars")
    found = dict(zip(names["rows"]["material_id"], names["X"], strict=True))
    assert names["X"].dtype == np.float32
    assert {name: vector.tolist() for name, vector in found.items()} == expected(lake)


@pytest.mark.filterwarnings("ignore")  # its own
def test_daft_reads_a_lake(lake: matlake.Lake, run: Any) -> None:
    pytest.importorskip("daft", reason="needs daft")
    table = run("Daft")["table"]
    assert dict(zip(table["material_id"].to_pylist(), table["vector"].to_pylist(), strict=True)) == expected(lake)


def test_tables_ask_little_of_their_readers(lake: matlake.Lake) -> None:
    for root in (lake.embeddings, lake.failures_table, lake.dataset("elastic")):
        table = delta.open_table(root)
        assert table is not None
        assert table.protocol().min_reader_version == 1
        assert not table.protocol().reader_features
