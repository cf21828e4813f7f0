"""The page for authors of plug-ins: its names exist, and its checks are those that there are."""

import inspect
import re
from pathlib import Path
from pkgutil import resolve_name
from types import ModuleType

import pytest

import matlake.testing
from matlake.diagnosis.plugins import KINDS

PAGE = (Path(__file__).parents[1] / "docs" / "inside" / "extending.md").read_text()
NAMES = sorted(set(re.findall(r"`(matlake(?:\.\w+)+\.[A-Za-z]\w+)`", PAGE)) - set(KINDS) - {"matlake.testing"})


@pytest.mark.parametrize("name", NAMES)
def test_every_name_to_build_on_exists_and_says_what_it_is(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    found = getattr(resolve_name(module), attribute)
    assert isinstance(found, ModuleType) or not callable(found) or found.__doc__


def test_enough_names_are_found() -> None:
    assert len(NAMES) >= 20


def test_every_check_is_on_the_page_as_it_is() -> None:
    for name in matlake.testing.__all__:
        parameters = inspect.signature(getattr(matlake.testing, name)).parameters.values()
        shown, marked = [], False
        for one in parameters:
            if one.kind is one.KEYWORD_ONLY and not marked:
                shown.append("*")
                marked = True
            shown.append(one.name + ("" if one.default is one.empty else f"={one.default!r}"))
        assert f"`{name}({', '.join(shown)})`" in PAGE


def test_every_group_is_on_the_page() -> None:
    assert set(re.findall(r"^\| `(matlake\.\w+)` \|", PAGE, re.MULTILINE)) == set(KINDS)
