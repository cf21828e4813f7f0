"""Every code block of every page runs, is output, or says why it does not run."""

import re
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Final

import forked
import pytest
from documentation.page_checks import CHECKS, of_answers
from documentation.shared_lake import make_folder
from pages import COMMANDS, ROOT, RUN, SHOWN, Block, blocks_of, check_options, commands, run_page, words

from matlake.cli.main import cli

PAGES: Final = sorted(
    [
        *ROOT.glob("*.md"),
        *(path for folder in ("docs", "benchmarks", "examples") for path in (ROOT / folder).rglob("*.md")),
    ]
)
BLOCKS: Final = [block for page in PAGES for block in blocks_of(page)]
RUNNING: Final = sorted({block.page for block in BLOCKS if block.runs})

NETWORKS: Final = ROOT / "tests" / "torch_networks.py"

FRESH: Final = frozenset({"README.md", "docs/guides/dataframe.md", "docs/guides/external-vectors.md"})
"""Pages that make a lake of their own."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages") / "shared"
    folder.mkdir()
    process = forked.CONTEXT.Process(target=make_folder, args=(folder,))
    process.start()
    process.join()
    assert process.exitcode == 0
    return folder


@pytest.mark.parametrize("page", RUNNING)
def test_a_page_runs_from_its_first_block_to_its_last(page: str, shared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "page"
    left_out = shutil.ignore_patterns("lake") if page in FRESH else None
    shutil.copytree(shared, folder, ignore=left_out)
    run_page([block for block in BLOCKS if block.page == page and block.runs], folder, CHECKS.get(page))


ANSWERS: Final = """
import json, shlex
from click.testing import CliRunner
from matlake.cli.main import cli
answers = {}
for command in shown:
    done = CliRunner().invoke(cli, [*shlex.split(command), "--json"])
    assert done.exit_code == 0, (command, done.output, done.exception)
    answers[command] = list(json.loads(done.stdout))
import matlake
lake = matlake.open_lake("lake")
views = ("embeddings", "failures", "unread_cells", "predictions")
columns = {view: lake.sql(f"DESCRIBE {view}").arrow()["column_name"].to_pylist() for view in views}
columns["materials"] = lake.sql("DESCRIBE materials").arrow()["column_name"].to_pylist()[:6]
"""


def test_the_pages_on_json_and_sql_have_the_entries_of_every_answer_and_the_columns_of_every_view(
    shared: Path, tmp_path: Path
) -> None:
    page = "docs/reference/json.md"
    rows = re.findall(
        r"^\| `([^`]+ [^`]+|status|doctor|check|compact)` \| (.+) \|$", (ROOT / page).read_text(), re.MULTILINE
    )
    shown = {command: re.findall(r"`(\w+)`", entries) for command, entries in rows}
    assert len(shown) >= 20
    shutil.copytree(shared, tmp_path / "page")
    run_page([Block(page, 1, "python", f"shown = {shown!r}\n{ANSWERS}")], tmp_path / "page", of_answers)


def test_every_block_says_what_language_it_is_in() -> None:
    bare = {"README.md": 2}  # the two commands, which others read
    unknown = [block for block in BLOCKS if block.language not in RUN | SHOWN]
    assert Counter(block.page for block in unknown) == bare, [block.place for block in unknown]


def test_a_comment_before_a_block_is_a_reason_or_a_test_that_knows_the_page() -> None:
    for block in BLOCKS:
        if block.test:
            source = (ROOT / block.test).read_text()
            source += NETWORKS.read_text() if NETWORKS.stem in source else ""
            assert Path(block.page).name in source, f"{block.place}: {block.test} does not read this page"
        assert not block.reason or len(block.reason.split()) >= 2, block.place


def test_few_blocks_do_not_run(capsys: pytest.CaptureFixture[str]) -> None:
    kept = [block for block in BLOCKS if block.reason]
    with capsys.disabled():
        lines = [f"{sum(block.runs for block in BLOCKS)} blocks of pages run; {len(kept)} do not:"]
        lines += [f"  {block.place}: {block.reason}" for block in kept]
        sys.stderr.write("\n" + "\n".join(lines) + "\n")
    assert len(kept) <= 50
    assert sum(block.runs for block in BLOCKS) >= 80


@pytest.mark.parametrize(
    "block", [one for one in BLOCKS if one.language in RUN and not one.runs], ids=lambda b: b.place
)
def test_a_block_that_does_not_run_is_right_as_far_as_can_be_told(block: Block) -> None:
    if block.language == "python":
        compile(block.text, block.place, "exec")
    elif block.language in COMMANDS:
        for line in commands(block):
            name, *arguments = words(line)
            if name.endswith("matlake"):
                check_options(arguments, cli)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("```bash\nmatlake sql 'SELECT nothing FROM nowhere'\n```\n", "nowhere"),
        ("```python\nimport matlake\nmatlake.nothing\n```\n", "nothing"),
        ("```console\n$ rm -r lake\n```\n", "say why it does not run"),
        ("```sql\nSELECT x FROM gaps\n```\n", "x"),
    ],
)
def test_a_block_that_fails_is_found(text: str, said: str, shared: Path, tmp_path: Path) -> None:
    folder = tmp_path / "page"
    shutil.copytree(shared, folder)
    page = ROOT / "docs" / "index.md"
    blocks = [Block(str(page.relative_to(ROOT)), 1, *text.removeprefix("```").removesuffix("```\n").split("\n", 1))]
    with pytest.raises(AssertionError, match=said):
        run_page(blocks, folder)


def test_options_that_do_not_exist_are_found() -> None:
    import click

    check_options(["--lake", "x", "heads", "show", "gap", "--json"], cli)
    for wrong in (["embed", "--no-such"], ["heads", "shwo", "gap"], ["nothing"]):
        with pytest.raises(click.UsageError):
            check_options(wrong, cli)
