"""The page on vectors of other programs: its code runs in order, and its commands are those that there are."""

import re
import shlex
from pathlib import Path
from typing import Any

import click
import forked
import numpy as np
import pyarrow.parquet as pq
import pytest
from samples import ELASTIC

from matlake.cli.main import cli

PAGE = (Path(__file__).parents[1] / "docs" / "guides" / "external-vectors.md").read_text()
BLOCKS = re.findall(r"^```(console|python)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
ROWS = 40


def test_its_code_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("matlake.regress.heads.train.draw_plots", lambda *_: {})
    table = pq.read_table(ELASTIC).slice(0, ROWS)
    pq.write_table(table, "crystals.parquet")
    vectors = np.random.default_rng(1).standard_normal((ROWS, 4)).tolist()
    pq.write_table(table.select(["material_id"]).append_column("vector", [vectors]), "mace.parquet")
    names: dict[str, Any] = {}
    for kind, block in BLOCKS:
        if kind == "python":
            exec(block, names)  # noqa: S102 - our own page
        else:
            for line in block.splitlines():
                name, *arguments = shlex.split(line.removeprefix("$ "))
                done = forked.run(arguments)
                assert name == "matlake"
                assert done.returncode == 0, f"{line}\n{done.stderr}"
    assert names["report"].without_vector == 0
    saved = np.load("vectors.npz")
    assert saved["vectors"].dtype == np.float32
    assert saved["vectors"].tolist() == names["vectors"].astype(np.float32).tolist()
    assert pq.read_table("vectors.parquet").num_rows == ROWS
    assert {one.card.name for one in names["lake"].encoders.list()} >= {"mace-mp-0", "own-network"}


def test_its_commands_and_options_exist() -> None:
    context = click.Context(cli)
    command = cli.get_command(context, "import-embeddings")
    assert command is not None
    options = {option for one in command.params for option in one.opts}
    named = set(re.findall(r"--[a-z][a-z-]+", PAGE.partition("## Whose")[0])) - {"--structures"}
    assert named <= options
    assert {"--id-column", "--vector-column", "--layer", "--source", "--licence"} <= named
