"""The recipe for conda-forge: it asks for what pyproject.toml asks for, and keeps the format and the rules there.

conda-forge's own linter is not on the package index. The keys below are those of version 1 of the format for the parts
that the recipe has (prefix-dev/recipe-format, CEP 14), and the rules those of the linter that concern such a package.
"""

import importlib.util
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import matlake

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

spec = importlib.util.spec_from_file_location("make_recipe", ROOT / "recipe" / "make.py")
assert spec is not None
assert spec.loader is not None
make = importlib.util.module_from_spec(spec)
spec.loader.exec_module(make)

KEYS: dict[str, Any] = {
    "schema_version": None,
    "context": dict,
    "package": {"name", "version"},
    "source": {"url", "sha256", "md5", "file_name", "patches", "target_directory"},
    "build": {"number", "string", "skip", "noarch", "script", "python", "variant", "files"},
    "requirements": {"build", "host", "run", "run_constraints", "run_exports", "ignore_run_exports"},
    "tests": {"python", "script", "requirements", "files", "package_contents", "downstream"},
    "about": {"homepage", "repository", "documentation", "license", "license_file", "summary", "description"},
    "extra": {"recipe-maintainers"},
}
OF_PYTHON = {"imports", "pip_check", "python_version"}


@pytest.fixture(scope="module")
def recipe() -> dict[str, Any]:
    yaml = pytest.importorskip("yaml", reason="needs the extra 'dev'")
    found: dict[str, Any] = yaml.safe_load(make.RECIPE.read_text("utf-8"))
    return found


def test_it_is_what_pyproject_makes_of_it() -> None:
    written = make.RECIPE.read_text("utf-8")
    (digest,) = re.findall(r'sha256: "([0-9a-f]{64})"', written)
    assert written == make.recipe(digest), "run python recipe/make.py"


def test_it_asks_for_what_pip_asks_for(recipe: dict[str, Any]) -> None:
    python, *run = recipe["requirements"]["run"]
    assert recipe["context"]["python_min"] == PROJECT["requires-python"].removeprefix(">=")
    assert python == "python >=${{ python_min }}"
    on_pypi = {conda: name for name, conda in make.CONDA_NAMES.items()}
    asked = dict(one.partition(" ")[::2] for one in run)
    wanted = [Requirement(one) for one in [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["cpu"]]]
    assert {on_pypi.get(name, name): SpecifierSet(bound) for name, bound in asked.items()} == {
        canonicalize_name(one.name): one.specifier for one in wanted
    }


def test_its_keys_are_those_of_the_format(recipe: dict[str, Any]) -> None:
    assert list(recipe) == list(KEYS)  # the linter wants them in this order
    assert recipe["schema_version"] == 1
    for section, known in KEYS.items():
        parts = recipe[section] if isinstance(recipe[section], list) else [recipe[section]]
        assert all(isinstance(known, set) is False or set(part) <= known for part in parts), section
    assert set(recipe["tests"][0]["python"]) <= OF_PYTHON
    assert set(recipe["build"]["python"]) == {"entry_points"}


def test_it_keeps_the_rules_of_conda_forge(recipe: dict[str, Any]) -> None:
    assert recipe["context"]["version"] == matlake.__version__
    assert recipe["build"]["noarch"] == "python"
    assert recipe["build"]["number"] == 0
    assert recipe["source"]["url"].startswith("https://pypi.org/packages/source/m/matlake/matlake-${{ version }}")
    host, run = recipe["requirements"]["host"], recipe["requirements"]["run"]
    assert host[0] == "python ${{ python_min }}.*"
    assert "pip" in host
    for one in (*host, *run):
        assert re.fullmatch(r"[a-z0-9_.-]+( [^ ].*)?", one), one
        assert one.startswith("python ") or re.fullmatch(r"\S+( ([<>=!~]=?[\w.]+,?)+)?", one), one
    assert recipe["tests"][0]["python"]["pip_check"] is True
    about = recipe["about"]
    assert about["license"] == PROJECT["license"]
    assert about["summary"] == PROJECT["description"]
    assert all((ROOT / path).is_file() for path in about["license_file"])
    assert len(about["license_file"]) >= 3
    assert recipe["extra"]["recipe-maintainers"]
    assert make.RECIPE.read_text("utf-8").endswith("\n")


def test_its_command_is_that_of_the_wheel(recipe: dict[str, Any]) -> None:
    assert recipe["build"]["python"]["entry_points"] == [
        f"{name} = {place}" for name, place in PROJECT["scripts"].items()
    ]


@pytest.mark.parametrize(
    ("on_pypi", "in_conda"),
    [
        ("deltalake>=1.5,!=1.6.6", "deltalake >=1.5,!=1.6.6"),
        ("psutil>=6.0; sys_platform == 'win32'", "psutil >=6.0"),
        ("duckdb>=1.5", "python-duckdb >=1.5"),
        ("numpy", "numpy"),
    ],
)
def test_requirements_are_translated(on_pypi: str, in_conda: str) -> None:
    assert make.conda_requirement(on_pypi) == in_conda


def test_what_conda_cannot_say_is_refused() -> None:
    with pytest.raises(ValueError, match="is not a plain requirement"):
        make.conda_requirement("moto[server]>=5.2")
