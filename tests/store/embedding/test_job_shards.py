"""Several jobs embed a lake, a shard each: without coordination, whatever is killed, whatever their number."""

import os
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from samples import CRYSTAL_ENCODER, ELASTIC, GAPS, Cli
from shard_jobs import FEATURE, assert_same_rows, kill_half, make_lake, run_jobs, stored

from matlake import Lake, embed, import_table, open_lake
from matlake.errors import MatlakeError

SCRIPT = Path(__file__).parents[3] / "examples" / "slurm" / "embed.sh"


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake of 4,604 compositions that one run has embedded."""
    made = make_lake(tmp_path_factory.mktemp("clean") / "lake")
    embed(made, [FEATURE])
    return made


@pytest.fixture
def mixed(tmp_path: Path, write_table: Callable[..., Path]) -> Lake:
    """40 crystals and 60 formulas, some of which no encoder takes."""
    made = open_lake(tmp_path / "mixed", create=True)
    pq.write_table(pq.read_table(ELASTIC).slice(0, 40), tmp_path / "crystals.parquet")
    import_table(made, tmp_path / "crystals.parquet", "crystals")
    formulas = pq.read_table(GAPS)["formula"].slice(0, 54).to_pylist()
    import_table(made, write_table(formula=[*formulas, "HeO", "He2O2", "ArF2", "TiO2", "Ti2O4", "O2Ti"]), "formulas")
    return made


def test_shards_that_are_killed_and_run_again_equal_a_clean_run(clean: Lake, tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake")
    _, killed = kill_half(lake, 8, random.Random(20))  # noqa: S311 - a choice of what to kill
    assert stored(lake).num_rows < stored(clean).num_rows
    assert run_jobs(lake, killed) == [0, 0, 0, 0]
    assert_same_rows(lake, clean)


def test_so_do_shards_on_an_object_store(bucket: str, tmp_path: Path) -> None:
    clean, lake = make_lake(tmp_path / "clean", 900), make_lake(f"{bucket}/lake", 900)
    embed(clean, [FEATURE])
    _, killed = kill_half(lake, 2, random.Random(3))  # noqa: S311 - a choice of what to kill
    assert run_jobs(lake, killed) == [0]
    assert_same_rows(lake, clean)


def test_jobs_of_different_numbers_of_shards_embed_each_content_once(clean: Lake, tmp_path: Path) -> None:
    lake = make_lake(tmp_path / "lake")
    assert run_jobs(lake, ["0/2", "0/3", "1/3", "2/3"]) == [0, 0, 0, 0]
    assert_same_rows(lake, clean)


def test_reports_of_all_shards_add_up_to_that_of_one_run(mixed: Lake, tmp_path: Path) -> None:
    features = [FEATURE, CRYSTAL_ENCODER]
    shards = [embed(mixed, features, shard=f"{job}/3") for job in range(3)]
    assert all(report.embedded for report in shards)
    again = [embed(mixed, features, shard=f"{job}/3") for job in range(3)]
    assert [report.embedded for report in again] == [0, 0, 0]

    one = open_lake(tmp_path / "one", create=True)
    for name in ("crystals", "formulas"):
        mixed.path.joinpath("datasets", name).rename(one.path / "datasets" / name)
    whole = embed(one, features)
    for field in ("embedded", "skipped", "failed"):
        assert sum(getattr(report, field) for report in shards) == getattr(whole, field)
    for one_again, report in zip(again, shards, strict=True):
        assert one_again.skipped + one_again.failed == report.embedded + report.skipped + report.failed


def test_the_shard_of_a_content_is_its_hash_modulo_their_number(mixed: Lake) -> None:
    embed(mixed, [FEATURE], shard="2/5")
    found = stored(mixed)["content_hash"].to_pylist()
    rows = mixed.query("SELECT DISTINCT composition_hash AS hash FROM internal.compositions").to_pylist()
    failed = mixed.query("SELECT DISTINCT material_id FROM failures WHERE encoder IS NOT NULL").to_pylist()
    expected = {row["hash"] for row in rows if int(row["hash"][:15], 16) % 5 == 2}
    assert set(found) <= expected
    assert len(expected) - len(found) <= len(failed)


@pytest.mark.parametrize("shard", ["3/2", "2/2", "0/0", "a/b", "1", "-1/2", "1/2/3", "", "1.5/2", "٣/٨"])
def test_what_is_no_shard_is_one_line(lake: Lake, shard: str) -> None:
    with pytest.raises(MatlakeError, match="shard") as caught:
        embed(lake, [FEATURE], shard=shard)
    assert "\n" not in f"{caught.value}{caught.value.hint}"


def test_the_command_refuses_what_is_no_shard_as_wrong_usage(lake: Lake) -> None:
    message = Cli(lake.path).stderr("embed", "--encoder", FEATURE, "--shard", "3/2", code=2)
    assert "there is no shard 3 of 2" in message
    assert "0/N" in message


def test_the_script_for_slurm_embeds_a_shard(lake: Lake, tmp_path: Path) -> None:
    command = tmp_path / "bin" / "matlake"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m matlake "$@"\n')
    command.chmod(0o755)
    variables = os.environ | {
        "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}",
        "MATLAKE_LAKE": str(lake.path),
        "ENCODERS": FEATURE,
        "SLURM_ARRAY_TASK_ID": "1",
        "SLURM_ARRAY_TASK_COUNT": "3",
    }
    done = subprocess.run(["/bin/bash", SCRIPT], env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("embedded ")
    hashes = stored(lake)["content_hash"].to_pylist()
    assert hashes
    assert all(int(each[:15], 16) % 3 == 1 for each in hashes)
    del variables["ENCODERS"]
    done = subprocess.run(["/bin/bash", SCRIPT], env=variables, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "set ENCODERS" in done.stderr
