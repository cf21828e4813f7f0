"""The command ``import-embeddings``: JSON of the report on stdout, exit codes, refusals in one line and a hint."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import matlake
from matlake.cli import main as cli_main


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Runs a command line on a lake with two formulas: its JSON, after a look at its exit code."""
    lake = matlake.open_lake(tmp_path / "lake", create=True)
    lake.add({"id": ["a", "b"], "formula": ["GaN", "TiO2"]}, "two", progress=False)

    def run(*arguments: object, code: int = 0) -> Any:
        monkeypatch.setattr("sys.argv", ["matlake", "--lake", str(lake.path), *map(str, arguments), "--json"])
        with pytest.raises(SystemExit) as exit_:
            cli_main.main()
        captured = capfd.readouterr()
        assert exit_.value.code == code, captured.err
        return json.loads(captured.out)

    return run


def test_vectors_are_imported_described_and_verified(run: Callable[..., Any], tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", ids=np.array(["b"]), vectors=np.ones((1, 3)))
    arguments = ("import-embeddings", tmp_path / "v.npz", "--encoder", "net", "--dataset", "two")
    report = run(*arguments, "--source", "ours", "--citation", "us", "--citation", "them")
    named = ("encoder", "layer", "dim", "dataset", "rows", "imported", "skipped", "without_vector")
    assert [report[name] for name in named] == ["net", "vector", 3, "two", 1, 1, 0, 1]
    assert run(*arguments)["skipped"] == 1
    (listed,) = [one for one in run("encoders", "list")["encoders"] if one["name"] == "net"]
    assert (listed["input"], listed["dim"], listed["shipped"]) == ("external", 3, False)
    shown = run("encoders", "show", "net")
    assert (shown["citation"], shown["sha256"]) == (["us", "them"], report["sha256"])
    assert run("encoders", "verify", "net")["passed"] is True
    answer = run("embed", "--encoder", "net", code=1)
    assert "encoder net is external" in answer["error"]
    assert "matlake import-embeddings FILE --encoder net" in answer["hint"]


def test_refusals_say_what_to_do(run: Callable[..., Any], tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", ids=np.array(["b", "c"]), vectors=np.ones((2, 3)))
    arguments = ("import-embeddings", tmp_path / "v.npz", "--encoder", "other")
    answer = run(*arguments, "--dataset", "two", code=1)
    assert "id 'c' in row 1" in answer["error"]
    assert "leave them out" in answer["hint"]
    assert "--dataset" in run(*arguments, code=2)["error"]
