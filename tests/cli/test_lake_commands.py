"""The command line's contract: JSON shapes, exit codes, where errors go."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from optimade_server import entry
from samples import ENCODER, Cli

FEATURE = f"{ENCODER}@16"


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path / "lake")


def test_the_chain_answers_in_the_shapes_of_the_contract(cli: Cli, band_gaps: Path, tmp_path: Path) -> None:
    imported = cli.json("import", str(band_gaps), "--dataset", "gaps")
    assert (imported["dataset"], imported["rows"], imported["failed"]) == ("gaps", 300, 0)
    embedded = cli.json("embed", "--encoder", FEATURE)
    assert (embedded["embedded"], embedded["skipped"], embedded["failed"]) == (300, 0, 0)
    assert cli.json("status").keys() >= {"datasets", "encoders", "heads", "failures"}
    rows = json.loads(cli("sql", "SELECT count(*) AS n FROM embeddings", "--format", "json"))
    assert rows == [{"n": 300}]
    target = tmp_path / "out.parquet"
    assert not cli("sql", "SELECT * FROM gaps", "--format", "parquet", "--output", str(target))
    assert pq.read_table(target).num_rows == 300


def test_a_source_by_name_is_imported_and_brought_up_to_date(cli: Cli, tmp_path: Path) -> None:
    dump = tmp_path / "dump.jsonl"
    dump.write_text("\n".join(map(json.dumps, [{"x-optimade": {}}, *(entry(number) for number in range(3))])))
    imported = cli.json("import", f"optimade:{dump}", "--dataset", "salts")
    assert (imported["dataset"], imported["rows"], imported["failed"], imported["update"]) == ("salts", 3, 0, None)
    again = cli.json("import", f"optimade:{dump}", "--dataset", "salts")
    assert (again["rows"], again["update"]) == (0, {"new": 0, "changed": 0, "unchanged": 0, "others": 3})
    document = cli.json("import", "optimad:mp", "--dataset", "d", code=1)
    assert document["error"] == "there is no source 'optimad'"


def test_numbers_are_ids_of_a_source_by_name(cli: Cli, tmp_path: Path) -> None:
    dump = tmp_path / "dump.jsonl"
    dump.write_text("\n".join(json.dumps(line) for line in ({"x-optimade": {}}, entry(1, _db_number=7))))
    assert cli.json("import", f"optimade:{dump}", "--dataset", "salts", "--id-column", "_db_number")["rows"] == 1
    found = json.loads(cli("sql", "SELECT material_id, source_id FROM salts", "--format", "json"))
    assert found == [{"material_id": "7", "source_id": "7"}]


def test_rows_that_fail_give_exit_code_3(cli: Cli, tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    table.write_text("formula\nSi\nXx\nHe\n")
    assert cli.json("import", str(table), "--dataset", "d", code=3)["failed"] == 1
    assert cli.json("embed", "--encoder", FEATURE, code=3)["failed"] == 1
    assert cli.json("embed", "--encoder", FEATURE, code=3)["embedded"] == 0
    assert "unknown element" in cli("sql", "SELECT reason FROM failures")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["status"], 1),
        (["import", "nowhere.csv", "--dataset", "d"], 1),
        (["import"], 2),
        (["import", "t.csv", "--join", "d", "--structure-column", "cif"], 2),
        (["embed", "--encoder", "x", "--dataset", "a", "--where", "b"], 2),
        (["no-such-command"], 2),
    ],
)
def test_errors_are_one_json_document_with_a_hint(cli: Cli, arguments: list[str], code: int) -> None:
    document = cli.json(*arguments, code=code)
    assert document["error"]
    assert document["hint"]


def test_sql_parquet_needs_a_file(cli: Cli, band_gaps: Path) -> None:
    cli("import", str(band_gaps), "--dataset", "gaps")
    cli("sql", "SELECT 1", "--format", "parquet", code=2)
    cli("sql", "DELETE FROM gaps", code=1)


def test_cuda_on_a_machine_without_it_is_an_error_that_says_what_to_do(cli: Cli, band_gaps: Path) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this machine has a CUDA build of ONNX Runtime")
    cli("import", str(band_gaps), "--dataset", "gaps")
    document = cli.json("embed", "--encoder", FEATURE, "--device", "cuda", code=1)
    assert "CPU build" in str(document["error"])
    assert "matlake[gpu]" in str(document["hint"])
