"""Datasets are listed, shown, deleted, renamed and exported, each in one step."""

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import feather
from samples import BUNDLED, LAKE_0_1_0, Cli

from matlake import Lake, compact, embed, import_table, open_lake, status
from matlake.errors import LakeError, SourceError
from matlake.store import datasets, table_files
from matlake.text_tables import plain_lines

FEATURE = "elemnet-oqmd-formation-energy@16"


@pytest.fixture
def mixed(lake: Lake, write_table: Callable[..., Path]) -> Lake:
    """A lake with formulas, crystals, and a dataset with failures and columns of several types."""
    pq.write_table(pq.read_table(BUNDLED / "mp_elasticity.parquet").slice(0, 12), lake.path.parent / "few.parquet")
    import_table(lake, lake.path.parent / "few.parquet", "crystals")
    source = write_table(
        "types.parquet",
        formula=["Si", "GaN", "Xx9", "MgO"],
        band_gap_eV=[1.1, None, 3.0, float("nan")],
        count=[1, 2, 3, 4],
        note=["a", "b, c", None, 'd "e"'],
        checked=[True, False, None, True],
        day=pa.array([0, 1, 2, None], pa.date32()),
    )
    import_table(lake, source, "types")
    return lake


def test_list_and_show_say_what_a_dataset_holds(mixed: Lake) -> None:
    found = {summary.name: summary for summary in mixed.list_datasets()}
    assert list(found) == ["crystals", "gaps", "types"]
    assert (found["gaps"].materials, found["gaps"].crystals, found["gaps"].failures) == (300, 0, 0)
    assert (found["types"].materials, found["types"].failures) == (3, 1)
    assert found["crystals"].crystals == 12
    assert found["types"].properties == ["band_gap_eV", "count", "note", "checked", "day"]
    assert datetime.now(UTC) - found["types"].imported < timedelta(minutes=10)
    assert found["types"].source is not None
    assert found["types"].source.endswith("types.parquet")

    details = mixed.show_dataset("types")
    columns = {column.name: column for column in details.columns}
    gap = columns["band_gap_eV"]
    assert (gap.type, gap.unit, gap.nulls, gap.minimum, gap.maximum) == ("DOUBLE", "eV", 2, 1.1, 1.1)
    assert (columns["count"].minimum, columns["count"].maximum) == (1, 4)
    assert (columns["note"].minimum, columns["note"].nulls) == (None, 0)
    assert str(columns["day"].maximum).startswith("1970-01-02")
    text = "\n".join(plain_lines(details.lines()))
    assert "types: 3 materials (0 crystals), 1 failures" in text
    assert "types.parquet" in text
    json.dumps(details.document(), allow_nan=False, default=str)
    with pytest.raises(LakeError, match="no dataset"):
        mixed.show_dataset("nothing")


def test_a_dataset_of_an_old_lake_says_what_its_log_tells(tmp_path: Path) -> None:
    lake = open_lake(Path(shutil.copytree(LAKE_0_1_0, tmp_path / "lake")))
    summary = lake.show_dataset("gaps").summary
    assert summary.imported is not None
    assert summary.source is None


def test_delete_takes_the_dataset_and_leaves_embeddings(mixed: Lake) -> None:
    embed(mixed, [FEATURE], dataset="gaps")
    vectors = status(mixed).document()["encoders"]
    mixed.delete_dataset("gaps")
    assert [summary.name for summary in mixed.list_datasets()] == ["crystals", "types"]
    assert status(mixed).document()["encoders"] == vectors
    assert mixed.query("SELECT count(*) AS n FROM materials WHERE dataset = 'gaps'").to_pylist() == [{"n": 0}]
    with pytest.raises(LakeError):
        mixed.delete_dataset("gaps")
    assert sorted(path.name for path in mixed.datasets_folder.iterdir()) == ["crystals", "types"]


def test_a_deletion_that_is_killed_leaves_the_dataset_or_nothing_of_it(
    mixed: Lake, band_gaps: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            mixed.delete_dataset("gaps")
    assert mixed.show_dataset("gaps").summary.materials == 300
    with monkeypatch.context() as patched:
        patched.setattr("shutil.rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            mixed.delete_dataset("gaps")
    assert mixed.dataset_names() == ["crystals", "types"]
    assert mixed.query("SELECT count(*) AS n FROM materials").to_pylist() == [{"n": 15}]
    assert status(mixed).document()["failures"] == 1
    import_table(mixed, band_gaps, "gaps")
    mixed.delete_dataset("types")
    assert sorted(path.name for path in mixed.datasets_folder.iterdir()) == ["crystals", "gaps"]


def test_rename_keeps_everything_and_checks_the_name(mixed: Lake) -> None:
    embed(mixed, [FEATURE], dataset="types")
    before = mixed.query("SELECT * EXCLUDE (dataset) FROM types ORDER BY material_id")
    mixed.rename_dataset("types", "Types-2")
    assert mixed.query('SELECT * EXCLUDE (dataset) FROM "Types-2" ORDER BY material_id') == before
    assert embed(mixed, [FEATURE], dataset="Types-2").embedded == 0
    mixed.rename_dataset("Types-2", "types-2")  # capitals of one and the same dataset may change
    for wrong in ("gaps", "GAPS", "types-2", "materials", "a b", "../x", ""):
        with pytest.raises(LakeError):
            mixed.rename_dataset("types-2", wrong)
    with pytest.raises(LakeError):
        mixed.rename_dataset("types", "free")
    assert mixed.dataset_names() == ["crystals", "gaps", "types-2"]


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".json", ".jsonl", ".parquet", ".arrow"])
def test_export_writes_all_materials_in_their_order(mixed: Lake, tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"out{ending}"
    assert mixed.export_dataset("types", str(file)) == 3
    match ending:
        case ".csv" | ".tsv":
            delimiter = "," if ending == ".csv" else "\t"
            rows = list(csv.DictReader(file.read_text().splitlines(), delimiter=delimiter))
        case ".json":
            rows = json.loads(file.read_text())
        case ".jsonl":
            rows = [json.loads(line) for line in file.read_text().splitlines()]
        case ".parquet":
            rows = pq.read_table(file).to_pylist()
        case _:
            rows = feather.read_table(file).to_pylist()
    assert [row["formula"] for row in rows] == ["Si", "GaN", "MgO"]
    assert [row["note"] for row in rows] == ["a", "b, c", 'd "e"']
    assert float(rows[0]["band_gap_eV"]) == 1.1
    assert "poscar" not in rows[0]
    assert [path.name for path in tmp_path.glob(f"*{ending}*") if path.name.startswith((".", "out"))] == [file.name]


def test_an_export_with_structures_is_read_back_to_the_last_digit(mixed: Lake, tmp_path: Path) -> None:
    for ending in (".csv", ".jsonl", ".parquet"):
        mixed.export_dataset("crystals", tmp_path / f"again{ending}", structures=True)
        import_table(mixed, tmp_path / f"again{ending}", "again")
        old, new = (mixed.read_dataset(name)[1].select(
            ["material_id", "crystal_hash", "bulk_modulus_VRH_GPa"]) for name in ("crystals", "again"))  # fmt: skip
        assert new.to_pylist() == old.to_pylist()
    with pytest.raises(LakeError, match="no crystal structures"):
        mixed.export_dataset("gaps", tmp_path / "x.csv", structures=True)


def test_an_export_holds_one_batch_at_a_time(
    lake: Lake, write_table: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_table(lake, write_table(formula=[f"Si{n}O" for n in range(1, 10_001)], n=range(10_000)), "many")
    sizes: list[int] = []
    inner = table_files.write_tables

    def noting(path: Path, schema: pa.Schema, tables: Iterator[pa.Table], form: str | None = None) -> int:
        assert iter(tables) is tables  # they come one by one, and are not a list
        return inner(path, schema, (sizes.append(table.num_rows) or table for table in tables), form)

    monkeypatch.setattr(datasets, "write_tables", noting)
    monkeypatch.setattr(datasets, "_BATCH_ROWS", 2048)
    assert lake.export_dataset("many", tmp_path / "many.parquet") == 10_000
    assert max(sizes) <= 4096
    assert pq.read_table(tmp_path / "many.parquet")["n"].to_pylist() == list(range(10_000))


def test_an_export_never_overwrites_the_lake_and_names_the_known_endings(mixed: Lake, tmp_path: Path) -> None:
    for target in (mixed.path / "lake.json", mixed.datasets_folder / "x.csv", mixed.heads_folder / "x.json"):
        with pytest.raises(LakeError):
            mixed.export_dataset("gaps", target)
    with pytest.raises(SourceError) as caught:
        mixed.export_dataset("gaps", tmp_path / "x.xlsx")
    assert ".parquet" in caught.value.hint
    mixed.export_dataset("gaps", mixed.path / "gaps.csv")  # beside the lake's own, which people do


def test_a_second_import_says_what_it_replaces(lake: Lake, write_table: Callable[..., Path]) -> None:
    report = import_table(lake, write_table(formula=["Si", "Ge", "x"], bulk_modulus_GPa=[98.0, 75.0, 0.0]), "gaps")
    assert report.replaced
    assert report.replacement is not None
    assert (report.replacement.rows, report.replacement.failed) == (300, 0)
    assert report.replacement.columns_lost == ["band_gap_eV"]
    assert report.replacement.columns_gained == ["bulk_modulus_GPa"]
    (line,) = [line for line in report.lines() if "it had" in line]
    assert "300 materials, imported 20" in line
    assert "columns lost: band_gap_eV" in line
    assert json.loads(json.dumps(report.document()))["replacement"]["columns_gained"] == ["bulk_modulus_GPa"]
    new = import_table(lake, write_table(formula=["Si"]), "new")
    assert new.document()["replacement"] is None
    assert not any("it had" in line for line in new.lines())


def test_the_commands_say_the_same_as_json(mixed: Lake, tmp_path: Path) -> None:
    run = Cli(mixed.path)
    listed = run.json("datasets", "list")["datasets"]
    assert [(d["name"], d["materials"], d["failures"]) for d in listed] == [
        ("crystals", 12, 0), ("gaps", 300, 0), ("types", 3, 1)]  # fmt: skip
    assert run.json("datasets", "show", "types")["columns"][0]["unit"] == "eV"
    assert run.json("datasets", "export", "types", "--output", str(tmp_path / "t.csv"))["rows"] == 3
    assert run.json("datasets", "rename", "types", "kinds") == {"renamed": "types", "dataset": "kinds"}
    run("datasets", "delete", "kinds", code=2)  # nobody to ask
    assert run.json("datasets", "delete", "kinds", "--yes") == {"deleted": "kinds"}
    run("datasets", "show", "kinds", code=1)
    run("datasets", "export", "gaps", "--output", str(tmp_path / "t.xlsx"), code=2)
    assert "export" in run("datasets")
    assert "gaps" in run("datasets", "list")
    assert "band_gap_eV" in run("datasets", "show", "gaps")


def test_a_killed_import_leaves_no_name_of_a_dataset(lake: Lake) -> None:
    log = lake.dataset("half") / "_delta_log"
    log.mkdir(parents=True)
    (log / "00000000000000000000.json#1").write_text('{"commitInfo":')  # as delta-rs writes it
    assert lake.dataset_names() == ["gaps"]


def test_compact_removes_what_a_killed_deletion_has_left(lake: Lake) -> None:
    lake.dataset("gaps").rename(lake.datasets_folder / ".deleted-gaps-0a1b")
    compact(lake)
    assert not list(lake.datasets_folder.iterdir())
