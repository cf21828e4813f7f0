"""Each command has a function or method of the same words, and ``dir`` shows it."""

from collections.abc import Iterator

import click
import pytest

import matlake
from matlake.cli.main import cli

OTHER_WORDS = {"import": "add"}
"""Words of commands that Python keeps for itself."""

OF_MATLAKE = {"doctor"}
"""Commands that need no lake."""


def commands(group: click.Group, context: click.Context) -> Iterator[tuple[str, ...]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from ((name, *rest) for rest in commands(command, click.Context(command)))
        else:
            yield (name,)


@pytest.mark.parametrize("words", [*commands(cli, click.Context(cli))], ids=" ".join)
def test_each_command_is_a_method_of_the_same_words(embedded: matlake.Lake, words: tuple[str, ...]) -> None:
    found: object = matlake if words[0] in OF_MATLAKE else embedded
    for word in words:
        name = OTHER_WORDS.get(word, word.replace("-", "_"))
        assert name in dir(found)
        found = getattr(found, name)
    assert callable(found)
    assert found.__doc__
