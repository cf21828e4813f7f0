"""The pages on installation and releases: what they name is there."""

import re
import tomllib
from pathlib import Path

import click
import pytest

import matlake
from matlake import platforms
from matlake.cli.main import cli

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "start" / "install.md").read_text("utf-8")
RELEASING = (ROOT / "docs" / "inside" / "releasing.md").read_text("utf-8")
CHANGES = (ROOT / "CHANGELOG.md").read_text("utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_the_page_lists_every_extra() -> None:
    listed = re.findall(r"^\| `(\w+)` \| ", PAGE.partition("## Extras")[2].partition("\n## ")[0], re.MULTILINE)
    assert sorted([*listed, "dev"]) == sorted(PROJECT["optional-dependencies"])


def test_what_is_installed_is_an_extra_and_what_is_run_a_command() -> None:
    known = set(PROJECT["optional-dependencies"])
    for extras in re.findall(r"matlake\[([\w,]+)\]", PAGE + RELEASING):
        assert set(extras.split(",")) <= known
    lines = re.findall(r"^\$ (?:\S+ )*?matlake (\w+)", PAGE, re.MULTILINE)
    assert {"quickstart", "doctor", "embed"} <= set(lines)
    assert all(cli.get_command(click.Context(cli), name) for name in set(lines) - {"gap"})


def test_the_pages_name_files_that_are_there() -> None:
    for name in ("matlake/platforms.py", "recipe/recipe.yaml", "Dockerfile"):
        assert f"`{name}`" in PAGE
    for name in ("CITATION.cff", "CHANGELOG.md", "recipe/make.py", ".ci/lock", ".ci/run", "matlake/__init__.py"):
        assert name in RELEASING
        assert (ROOT / name).is_file()


def test_numbers_of_the_page_are_those_of_the_code() -> None:
    assert platforms.PATIENCE_S == 5
    assert "asks again for five seconds" in PAGE


def test_the_changelog_begins_with_this_version() -> None:
    heading = re.search(r"^## (\S+) \((.+)\)$", CHANGES, re.MULTILINE)
    assert heading is not None
    released = not matlake.__version__.endswith(".dev0")
    assert heading[1] == matlake.__version__.removesuffix(".dev0")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d" if released else "unreleased", heading[2])


def test_the_citation_is_valid() -> None:
    checker = pytest.importorskip("check_jsonschema", reason="needs the extra 'dev'")
    yaml, jsonschema = pytest.importorskip("yaml"), pytest.importorskip("jsonschema")
    import json

    schema = Path(checker.__file__).parent / "builtin_schemas" / "vendor" / "citation-file-format.json"
    cited = yaml.load((ROOT / "CITATION.cff").read_text("utf-8"), yaml.BaseLoader)
    jsonschema.Draft7Validator(json.loads(schema.read_text("utf-8"))).validate(cited)
    assert cited["version"] == matlake.__version__
