"""The page of the public names: each with its signature and one line on what it does."""

import ast
import inspect
from pathlib import Path

import pytest

import matlake

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "reference" / "api.md").read_text()


def shown(name: str) -> str:
    """Return how the page shows a name: functions, and classes that users make, with their parameters."""
    found = getattr(matlake, name)
    if inspect.ismodule(found) or (inspect.isclass(found) and not name.endswith(("Request", "Progress"))):
        return name
    parts, marked = [], False
    for parameter in inspect.signature(found).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not marked:
            parts.append("*")
            marked = True
        parts.append(
            parameter.name + ("" if parameter.default is parameter.empty else f"={text_of(parameter.default)}")
        )
    return f"{name}({', '.join(parts)})"


def text_of(default: object) -> str:
    return repr(default) if isinstance(default, str | int | float | bool | tuple | Path | None) else "…"


@pytest.mark.parametrize("name", matlake.__all__)
def test_every_public_name_is_on_the_page_as_it_is(name: str) -> None:
    assert f"\n`{shown(name)}`\n: " in PAGE


def test_the_page_lists_nothing_else() -> None:
    listed = [line.strip("`").partition("(")[0] for line in PAGE.splitlines() if line.startswith("`")]
    assert sorted(listed) == sorted(matlake.__all__)


def test_dir_and_the_type_stub_agree() -> None:
    stub = ast.parse((ROOT / "matlake" / "__init__.pyi").read_text())
    named = {alias.name for node in ast.walk(stub) if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert named == set(matlake.__all__) == set(dir(matlake))
