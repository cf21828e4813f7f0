"""Errors: a hint speaks Python to who calls functions, and the command line to who types commands."""

import ast
import copy
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

import matlake
from matlake.errors import MatlakeError, TooManyAtomsError

HOUSE = Path(matlake.__file__).parent
COMMANDS = re.compile(r"^(?!pip install ).*--[a-z]|`(?:matlake|encoders) |\bmatlake (?:[a-z]+ )?--")
"""What only who types commands can follow; pip is the same for all."""


def test_a_hint_speaks_python_and_the_command_line() -> None:
    error = TooManyAtomsError.of(12_000, 10_000)
    assert str(error) == "12,000 atoms, more than 10,000"
    assert (error.hint, error.cli_hint) == ("raise max_atoms", "raise --max-atoms")
    assert MatlakeError("wrong", "mend it").cli_hint == "mend it"


def test_an_error_can_be_copied_and_so_sent_to_another_process() -> None:
    error = copy.deepcopy(TooManyAtomsError.of(2, 1))
    assert (str(error), error.hint, error.cli_hint) == ("2 atoms, more than 1", "raise max_atoms", "raise --max-atoms")


def test_the_same_error_is_told_in_either_words(tmp_path: Path) -> None:
    from matlake.cli.main import cli

    with pytest.raises(MatlakeError) as caught:
        matlake.open_lake(tmp_path / "lake")
    assert "create=True" in caught.value.hint
    told = CliRunner().invoke(cli, ["--lake", str(tmp_path / "lake"), "status"]).exception
    assert isinstance(told, MatlakeError)
    assert "`matlake import`" in told.cli_hint


def arguments(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the texts that are passed to errors, but for the part of a ``Hint`` that is for the command line."""
    for call in ast.walk(ast.parse(path.read_text())):
        if isinstance(call, ast.Call) and re.search(r"[Ee]rror(\.of)?$", ast.unparse(call.func)):
            yield from texts(call)


def texts(node: ast.AST) -> Iterator[tuple[int, str]]:
    if isinstance(node, ast.keyword) and node.arg == "cli":
        return
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.lineno, node.value
    for child in ast.iter_child_nodes(node):
        yield from texts(child)


def test_no_error_of_the_library_names_options_or_commands() -> None:
    paths = [path for path in HOUSE.rglob("*.py") if path.relative_to(HOUSE).parts[0] not in ("cli", "serving")]
    wrong = [
        f"{path.relative_to(HOUSE)}:{line}: {text}"
        for path in paths
        for line, text in arguments(path)
        if COMMANDS.search(text)
    ]
    assert not wrong, "\n".join(wrong)
