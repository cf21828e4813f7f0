"""The page on lakes in buckets: its commands and its Python run against the server, and cost what it says."""

import re
import shlex
from pathlib import Path
from typing import Any, Final

import forked
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from object_store import ObjectStore, traffic
from samples import BUNDLED

PAGE: Final = (Path(__file__).parents[1] / "docs" / "guides" / "object-storage.md").read_text()
COSTS: Final = re.findall(r"^\| `(.+?)`.*?\| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)
"""Beginning of a command, and the most requests that it may read and write with."""


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def test_the_page_runs_and_its_costs_hold(
    object_store: ObjectStore, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del bucket  # which set up the environment
    object_store.make_bucket("lakes")
    monkeypatch.chdir(tmp_path)
    pacsv.write_csv(pq.read_table(BUNDLED / "expt_gap.parquet").slice(0, 60), tmp_path / "band_gaps.csv")
    counted: dict[str, tuple[int, int]] = {}
    for line in block("console").splitlines():
        name, *arguments = shlex.split(line.removeprefix("$ "))
        if name == "export":
            monkeypatch.setenv(*arguments[0].split("=", 1))
            continue
        assert name == "matlake"
        with object_store.recording() as requests:
            done = forked.run(arguments)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        read, written = (traffic(requests, *methods)[0] for methods in (("GET", "HEAD"), ("PUT", "POST", "DELETE")))
        counted[" ".join(arguments)] = read, written
    assert len(COSTS) >= 10
    for command, *most in COSTS:
        (found,) = (cost for line, cost in counted.items() if set(command.split()) <= set(line.split()))
        assert all(number <= int(limit) for number, limit in zip(found, most, strict=True)), (command, found)
    names: dict[str, Any] = {}
    exec(block("python"), names)  # noqa: S102 - our own page
    assert names["lake"].status().datasets[0]["materials"] == 60
