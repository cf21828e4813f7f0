"""Lakes and sources lie in folders of any name, and everything that works elsewhere works there."""

import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from samples import BUNDLED, GAPS, LAKE_0_1_0, Cli

from matlake import Lake, SearchRequest, TrainRequest, embed, import_table, open_lake, predict, search, status, train
from matlake.errors import LakeError

FEATURE = "elemnet-oqmd-formation-energy@16"
PATTERNS = (" ", "日", "%2", "?", "**", "[a-z]", "{a,b}")
"""What escapes, wildcards and trimming would change; ``EVERYTHING`` has every other character that means something."""

EVERYTHING = """ü 5% a?b#c"d'e[f]g*h {i,j};k=l&m+n~o$p`q|r(s)t^u!v@w<x>y:z"""


def formulas(folder: Path, rows: int = 40) -> Path:
    """Write a table of formulas into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pq.read_table(GAPS).slice(0, rows), folder / "gaps.parquet")
    return folder / "gaps.parquet"


@pytest.mark.parametrize("name", [*PATTERNS, EVERYTHING])
def test_a_lake_works_in_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    source = formulas(tmp_path / f"source{name}s")
    # folders that the name would match, were its wildcards not taken for what they are
    for other in (name.replace("%", "%25"), name.replace("?", "x"), name.replace("*", "x"), name.replace("[a-z]", "b")):
        if other != name:
            (tmp_path / f"a{other}y" / "lake" / "datasets").mkdir(parents=True)
    lake = open_lake(tmp_path / f"a{name}y" / "lake", create=True)
    assert import_table(lake, source, "gaps").rows == 40
    assert embed(lake, [FEATURE]).embedded == 40
    assert embed(lake, [FEATURE]).embedded == 0
    lake = open_lake(lake.path)
    assert lake.query("SELECT count(*) AS n FROM embeddings").to_pylist() == [{"n": 40}]
    assert lake.query("SELECT count(band_gap_eV) AS n FROM gaps").to_pylist() == [{"n": 40}]
    assert len(search(lake, SearchRequest(FEATURE, k=3, formula="GaN")).neighbours) == 3
    assert import_table(lake, formulas(source.parent, 30), "gaps").replaced
    report = status(lake).document()
    assert report["datasets"][0]["materials"] == 30
    assert report["encoders"][0]["vectors"] == 40
    assert lake.read_dataset("gaps")[1].num_rows == 30


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake of crystals and of formulas in a folder with every odd character, as Hive would write its partitions."""
    folder = tmp_path_factory.mktemp("odd") / "encoder=x" / EVERYTHING
    lake = open_lake(folder / "lake", create=True)
    import_table(lake, formulas(folder, 120), "gaps")
    with_structures = pq.read_table(BUNDLED / "mp_elasticity.parquet").slice(0, 5)
    structure = next(name for name in ("poscar", "cif", "structure") if name in with_structures.column_names)
    for number, text in enumerate(with_structures[structure].to_pylist()):
        (folder / "files").mkdir(exist_ok=True)
        (folder / "files" / f"c {number}%?#.poscar").write_text(text)
    return lake


def test_every_command_works_in_an_odd_folder(odd: Lake) -> None:
    run, folder = Cli(odd.path), odd.path.parent
    assert run.json("import", str(folder / "files"), "--dataset", "crystals")["rows"] == 5
    assert run.json("embed", "--encoder", f"{FEATURE},cgcnn-mp-formation-energy", code=3)["embedded"]
    run("sql", "SELECT * FROM crystals", "--output", str(folder / "crystals.csv"))
    assert pacsv.read_csv(folder / "crystals.csv").num_rows == 5
    answer = run.json("search", "--structure", str(folder / "files" / "c 0%?#.poscar"), "--encoder",
                      "cgcnn-mp-formation-energy", "-k", "2")  # fmt: skip
    assert len(answer["neighbours"]) == 2
    trained = run.json("train", "--target", "band_gap_eV", "--features", FEATURE, "--model", "ridge", "--name", "gap")
    assert trained["head"] == "gap"
    assert run.json("predict", "gap", "--formula", "GaN")["predictions"]
    pacsv.write_csv(pa.table({"formula": ["GaN", "ZnO"]}), folder / "new.csv")
    run("predict", "gap", "--input", str(folder / "new.csv"), "--output", str(folder / "predicted.csv"))
    assert pacsv.read_csv(folder / "predicted.csv").num_rows == 2
    assert run.json("heads", "list")["heads"]
    run("heads", "export", "gap", "--output", str(folder / "exported"))
    assert run.json("encoders", "list")["encoders"]
    assert run.json("encoders", "verify", "elemnet-oqmd-formation-energy")["passed"]
    assert len(run.json("status")["datasets"]) == 2
    assert run.json("datasets", "show", "crystals")["materials"] == 5
    run("datasets", "export", "gaps", "--output", str(folder / "gaps.jsonl"))
    run("datasets", "rename", "gaps", "band-gaps")
    run("datasets", "delete", "band-gaps", "--yes")
    run("heads", "delete", "gap")


def test_a_relative_path_and_a_link_lead_to_the_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(LAKE_0_1_0, tmp_path / "a b" / "läke")
    (tmp_path / "link").symlink_to("a b")
    (tmp_path / "lake link").symlink_to(Path("a b") / "läke")
    monkeypatch.chdir(tmp_path / "a b")
    for path in ("läke", "./läke", "../link/läke", "../lake link", os.path.relpath(tmp_path / "link" / "läke", "/")):
        if path.startswith("tmp"):
            monkeypatch.chdir("/")
        lake = open_lake(Path(path))
        assert lake.query("SELECT count(*) AS n FROM gaps").to_pylist() == [{"n": 120}]
        assert lake.query("SELECT count(*) > 0 AS some FROM embeddings").to_pylist() == [{"some": True}]
        assert predict(lake, "gap-ridge", ["GaN"]).predictions
    train(lake, TrainRequest("band_gap_eV", ["magpie"], "ridge", dataset="gaps", name="again"))
    assert (lake.heads_folder / "again" / "card.json").is_file()


@pytest.mark.parametrize("name", ["a\\b", "a%20b", "a%2Fb", "a%25b", "a\nb", "a\tb", "a\x7fb", "a\udce4b"])
def test_what_delta_tables_cannot_have_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(LakeError) as caught:
        open_lake(tmp_path / name / "lake", create=True)
    assert len(str(caught.value).splitlines()) == 1
    assert not list(tmp_path.iterdir())
    with pytest.raises(LakeError):
        open_lake(tmp_path / name / "lake")
