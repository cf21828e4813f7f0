"""``evaluate matbench`` from the command line."""

import json
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result
from samples import ELASTIC, Cli

from matlake.cli.main import EXIT_SOME_ROWS_FAILED, cli


@pytest.fixture(scope="module")
def crystals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 real crystals with their bulk moduli."""
    path = tmp_path_factory.mktemp("matbench-command") / "elastic.parquet"
    pq.write_table(pq.read_table(ELASTIC).slice(100, 60), path)
    return path


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Result]:
    def call(task: str, data: Path, *more: str) -> Result:
        arguments = ["evaluate", "matbench", task, "--data", str(data), *more, "--json"]
        return CliRunner().invoke(cli, ["--lake", str(tmp_path / "lake"), *arguments])

    return call


def test_a_task_is_evaluated_and_its_record_is_written(
    run: Callable[..., Result], crystals: Path, tmp_path: Path
) -> None:
    options = ("--features", "magpie", "--model", "ridge", "--splits", "value:high", "--output", str(tmp_path / "out"))
    done = run("mp_bulk_modulus", crystals, *options)
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["task"], found["rows"], found["published"]) == ("mp_bulk_modulus", 60, [])
    assert [(kind["kind"], kind["measured"]) for kind in found["kinds"]] == [("value:high", 1)]
    assert found["kinds"][0]["score"] == pytest.approx(found["kinds"][0]["scores"][0])
    record = (tmp_path / "out" / "matbench.md").read_text()
    assert record.startswith("# mp_bulk_modulus")
    assert json.loads((tmp_path / "out" / "matbench.json").read_text())["task"] == "mp_bulk_modulus"
    assert (tmp_path / "out" / "matbench_parity.svg").exists()


def test_what_is_wrong_is_one_line(crystals: Path, tmp_path: Path) -> None:
    for task, data, message in (
        ("phonon", crystals, "unknown task 'phonon'"),
        ("phonons", crystals, "has no column 'last phdos peak' or 'last_phdos_peak_per_cm'"),
        ("phonons", tmp_path / "nowhere.json.gz", "no file"),
    ):
        found = Cli(tmp_path / "lake").json("evaluate", "matbench", task, "--data", str(data), code=1)
        error = str(found["error"])
        assert message in error
        assert "\n" not in error


def test_folds_that_were_not_measured_show_in_the_exit_code(tmp_path: Path) -> None:
    pq.write_table(pq.read_table(ELASTIC).slice(100, 7), tmp_path / "few.parquet")
    task = ("evaluate", "matbench", "mp_bulk_modulus", "--data", str(tmp_path / "few.parquet"))
    options = ("--features", "fractions", "--model", "ridge", "--splits", "public")
    found = Cli(tmp_path / "lake").run(*task, *options, code=EXIT_SOME_ROWS_FAILED).stdout
    assert "at least 10 are needed" in found
