"""A lake made by version 0.1.0 opens, and answers as it did then."""

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

OLD = Path(__file__).parent / "data" / "lake_0_1_0"
ANSWERS: dict[str, dict[str, Any]] = json.loads((OLD / "answers.json").read_text())

# Sentences for people may be worded anew.
WORDS = {"doubts", "split_description", "reason"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the lake, and of the structure file that was asked about."""
    folder = tmp_path_factory.mktemp("old")
    shutil.copytree(OLD, folder, dirs_exist_ok=True)
    return folder


def matlake(home: Path, *arguments: str) -> tuple[int, Any]:
    """Run a command on the old lake; return its exit code and its JSON answer."""
    environment = {name: value for name, value in os.environ.items() if name != "MATLAKE_LAKE"}
    command = [sys.executable, "-m", "matlake", "--lake", "lake", *arguments]
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def lost(then: Any, now: Any, where: str = "") -> list[str]:
    """Say what an answer of then no longer holds now; more keys are welcome."""
    if isinstance(then, dict):
        if not isinstance(now, dict):
            return [f"{where}: {now!r} is not an object"]
        keys = [key for key in then if key not in WORDS]
        return [line for key in keys for line in lost(then[key], now.get(key, "(absent)"), f"{where}.{key}")]
    if isinstance(then, list):
        if not isinstance(now, list) or len(now) != len(then):
            return [f"{where}: {now!r} where there was {then!r}"]
        return [line for place, one in enumerate(then) for line in lost(one, now[place], f"{where}[{place}]")]
    if isinstance(then, float) and isinstance(now, float):
        return [] if math.isclose(then, now, rel_tol=1e-3, abs_tol=1e-5) else [f"{where}: {now} where there was {then}"]
    return [] if then == now else [f"{where}: {now!r} where there was {then!r}"]


@pytest.mark.parametrize("name", [name for name in ANSWERS if name != "sql-failures"])
def test_an_old_lake_answers_as_it_did(home: Path, name: str) -> None:
    asked = ANSWERS[name]
    code, answer = matlake(home, *asked["arguments"])
    assert code == asked["exit_code"]
    assert not lost(asked["answer"], answer)


def test_failures_of_an_old_lake_are_listed(home: Path) -> None:
    asked = ANSWERS["sql-failures"]
    code, answer = matlake(home, *asked["arguments"])
    assert code == 0
    assert answer == asked["answer"]


def test_nothing_is_embedded_again_in_an_old_lake(home: Path) -> None:
    code, answer = matlake(
        home, "embed", "--encoder", "magpie,cgcnn-mp-formation-energy,cgcnn-mp-formation-energy@1", "--json"
    )
    assert code == 3  # rows of compositions have no crystal
    assert (answer["embedded"], answer["failed"]) == (0, 247)


def test_an_old_lake_takes_new_rows(home: Path) -> None:
    shutil.copytree(home / "lake", home / "grown" / "lake")
    (home / "more.csv").write_text("formula,band_gap_eV\nMgO,7.8\nTiO2,3.0\n")
    code, _ = matlake(home / "grown", "import", "../more.csv", "--dataset", "more", "--json")
    assert code == 0
    code, answer = matlake(home / "grown", "embed", "--encoder", "magpie", "--dataset", "more", "--json")
    assert (code, answer["embedded"]) == (0, 1)  # TiO2 had its vector


def test_old_measurements_of_studies_are_not_made_again(home: Path) -> None:
    _, answer = matlake(
        home,
        *("evaluate", "extrapolation", "--target", "band_gap_eV", "--dataset", "gaps", "--splits", "random"),
        *("--features", "magpie", "--models", "ridge", "--seeds", "1", "--name", "ex", "--json"),
    )
    assert (answer["measured"], answer["measurements"]) == (0, 3)
