"""Documentation that cannot drift: commands are documented, and the README's example runs."""

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import forked
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from samples import BUNDLED

from matlake.cli.main import COMMANDS, cli

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_every_command_is_in_the_readme_and_has_help() -> None:
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        assert command.help
        assert f"`{name}" in README


def test_the_readme_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pacsv.write_csv(pq.read_table(BUNDLED / "expt_gap.parquet").slice(0, 150), tmp_path / "band_gaps.csv")
    block = README.partition("```console\n")[2].partition("```")[0]
    commands = [line.removeprefix("$ ") for line in block.splitlines() if line.startswith("$ ")]
    assert len(commands) >= 4
    for command in commands:
        name, *arguments = shlex.split(command)
        assert name == "matlake"
        done = forked.run(arguments)
        assert done.returncode == 0, f"{command}\n{done.stderr}"


def test_the_page_for_notebooks_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pq.write_table(pq.read_table(BUNDLED / "mp_elasticity.parquet").slice(0, 60), "crystals.parquet")
    page = (Path(__file__).parents[1] / "docs" / "guides" / "dataframe.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 8
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)  # noqa: S102 - our own page
    assert names["ranked"]["value"].is_monotonic_decreasing
    assert names["found"].to_pandas()["failure"].notna().tolist() == [False, False, False, True]
    assert names["X"].shape == (names["lake"].status().encoders[0]["vectors"], 1024)


def test_the_readme_python_runs(tmp_path: Path) -> None:
    pacsv.write_csv(pq.read_table(BUNDLED / "expt_gap.parquet").slice(0, 120), tmp_path / "band_gaps.csv")
    code = README.partition("```python\n")[2].partition("```")[0]
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
